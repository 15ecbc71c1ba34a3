//! Client identities: user names and the digests of the passwords that are accepted for them.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::CertificateName;

/// The user that a one-argument `AUTH password` logs in as, as in Redis's ACL.
pub const DEFAULT_USER: &str = "default";

/// Tells identities apart, as long as the process lives: no two ever have the same, whatever a reload changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityId(u16);

impl IdentityId {
    /// The first identity, or the only one.
    pub const FIRST: Self = Self(0);
    /// Stands for no identity, where a session has not authenticated. No link belongs to it.
    pub const NOBODY: Self = Self(u16::MAX);

    /// Returns the id with this number; `None` after the last.
    pub fn new(number: u16) -> Option<Self> {
        Some(Self(number)).filter(|id| *id != Self::NOBODY)
    }

    /// Returns its number.
    pub fn number(self) -> usize {
        self.0.into()
    }
}

/// All identities that clients log in as. Clones share memory.
#[derive(Debug, Clone)]
pub struct Identities {
    all: Arc<[(IdentityId, Identity)]>,
}

/// An identity that clients log in as.
///
/// Only SHA-256 digests are kept, so every comparison is between values of one size, and a memory
/// dump does not show a password.
#[derive(Clone)]
pub struct Identity {
    user: Arc<str>,
    user_digest: [u8; 32],
    credentials: Vec<Credential>,
    /// The name in a certificate that is as good as a password, and its credential.
    certificate: Option<(CertificateName, CredentialId)>,
}

/// Identifies the credential that a session logged in with: one user and one password, or one name in a
/// certificate, of an [`Identity`]. Its value does not change when other passwords of the identity are added or withdrawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialId(u64);

/// Who a session is after a right `AUTH`, or by its client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The identity.
    pub identity: IdentityId,
    /// The user's name.
    pub user: Arc<str>,
    /// The credential that the session has logged in with.
    pub credential: CredentialId,
}

/// The identity that the names in a client's certificate stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// No identity is recognized by one of the names.
    Nobody,
    /// The session is this identity.
    As(Authenticated),
    /// Several identities are recognized by names of the certificate, so that it does not say which of them the
    /// client is.
    Several,
}

/// The way in which a client has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginMethod {
    /// With a password, by `AUTH` or `HELLO`.
    Password,
    /// With the certificate that its TLS handshake has verified.
    Certificate,
}

impl LoginMethod {
    /// Returns a stable name for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Certificate => "certificate",
        }
    }
}

#[derive(Clone)]
struct Credential {
    id: CredentialId,
    password_digest: [u8; 32],
}

impl Identity {
    /// Creates an identity named `user`, or [`DEFAULT_USER`] if `user` is `None`.
    pub fn new(user: Option<&str>, password: &SecretString) -> Self {
        Self::without_password(user.unwrap_or(DEFAULT_USER)).or(password)
    }

    /// Creates an identity named `user` that accepts no password.
    pub fn without_password(user: &str) -> Self {
        Self {
            user: user.into(),
            user_digest: digest(user.as_bytes()),
            credentials: Vec::new(),
            certificate: None,
        }
    }

    /// Returns the same identity, which accepts `password` as well.
    pub fn or(self, password: &SecretString) -> Self {
        let digest = digest(password.expose_secret().as_bytes());
        self.or_digest(digest)
    }

    /// Returns the same identity, which accepts the password with this SHA-256 digest as well.
    pub fn or_digest(mut self, password_digest: [u8; 32]) -> Self {
        let id = CredentialId::of(&self.user_digest, &password_digest);
        self.credentials.push(Credential { id, password_digest });
        self
    }

    /// Returns the same identity, which clients are whose certificate has this name.
    pub fn certified_by(mut self, name: CertificateName) -> Self {
        let id = CredentialId::of_certificate(&self.user_digest, &name);
        self.certificate = Some((name, id));
        self
    }

    /// The user name.
    pub fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// Returns the credential that `user` and `password` are, or `None` if this identity does not
    /// accept them.
    ///
    /// The user and all passwords are always compared, so that the time does not show whether the user
    /// exists.
    pub fn check(&self, user: &[u8], password: &[u8]) -> Option<CredentialId> {
        let (credential, is_right) = self.compare(&digest(user), &digest(password));
        bool::from(is_right).then_some(credential)
    }

    /// Returns whether these are digests of the user and a password, and of which credential.
    fn compare(&self, user: &[u8; 32], password: &[u8; 32]) -> (CredentialId, Choice) {
        let user: Choice = user.ct_eq(&self.user_digest);
        let mut id = 0;
        let mut known = Choice::from(0);
        for credential in &self.credentials {
            let same = password.ct_eq(&credential.password_digest);
            id.conditional_assign(&credential.id.0, same);
            known |= same;
        }
        (CredentialId(id), user & known)
    }

    /// Returns true if a session that logged in with `credential` may stay.
    pub fn accepts(&self, credential: CredentialId) -> bool {
        let certificate = self.certificate.as_ref().map(|(_, id)| *id);
        certificate == Some(credential)
            || self.credentials.iter().any(|accepted| accepted.id == credential)
    }
}

impl Identities {
    /// Creates the list of all identities. No two may have the same id or the same user name.
    pub fn new(all: impl IntoIterator<Item = (IdentityId, Identity)>) -> Self {
        Self { all: all.into_iter().collect() }
    }

    /// Returns who logs in with `user` and `password`; `None` if no identity accepts them.
    ///
    /// All identities are always compared, so that the time does not show which of them exist.
    pub fn check(&self, user: &[u8], password: &[u8]) -> Option<Authenticated> {
        let (user, password) = (digest(user), digest(password));
        let (mut found, mut found_credential) = (0_u64, 0);
        let mut known = Choice::from(0);
        for (place, (_, identity)) in (0_u64..).zip(&*self.all) {
            let (credential, is_right) = identity.compare(&user, &password);
            found.conditional_assign(&place, is_right);
            found_credential.conditional_assign(&credential.0, is_right);
            known |= is_right;
        }
        let (identity, found) = self.all.get(usize::try_from(found).ok()?)?;
        bool::from(known).then(|| Authenticated {
            identity: *identity,
            user: Arc::clone(&found.user),
            credential: CredentialId(found_credential),
        })
    }

    /// Returns who a client is whose verified certificate has `names`. A certificate that stands for several
    /// identities makes its client none of them.
    pub fn certified(&self, names: &[CertificateName]) -> Certified {
        let mut found = self.all.iter().filter_map(|(id, identity)| {
            let (name, credential) = identity.certificate.as_ref()?;
            names.contains(name).then(|| Authenticated {
                identity: *id,
                user: Arc::clone(&identity.user),
                credential: *credential,
            })
        });
        match (found.next(), found.next()) {
            (None, _) => Certified::Nobody,
            (Some(only), None) => Certified::As(only),
            (Some(_), Some(_)) => Certified::Several,
        }
    }

    /// Returns the identities for which `stays` is true.
    #[must_use]
    pub fn only(&self, stays: impl Fn(IdentityId) -> bool) -> Self {
        if self.all.iter().all(|(id, _)| stays(*id)) {
            return self.clone();
        }
        Self::new(self.all.iter().filter(|(id, _)| stays(*id)).cloned())
    }

    /// Returns the user name of an identity; `None` if it is not among these.
    pub fn user_of(&self, identity: IdentityId) -> Option<&Arc<str>> {
        let found = self.all.iter().find(|(id, _)| *id == identity);
        found.map(|(_, identity)| &identity.user)
    }

    /// Returns true if a session that logged in as `authenticated` says may stay.
    pub fn accept(&self, authenticated: &Authenticated) -> bool {
        let found = self.all.iter().find(|(id, _)| *id == authenticated.identity);
        found.is_some_and(|(_, identity)| identity.accepts(authenticated.credential))
    }
}

impl From<Identity> for Identities {
    /// Makes the list of one identity.
    fn from(only: Identity) -> Self {
        Self::new([(IdentityId::FIRST, only)])
    }
}

impl CredentialId {
    fn of(user_digest: &[u8; 32], password_digest: &[u8; 32]) -> Self {
        let both = Sha256::new().chain_update(user_digest).chain_update(password_digest);
        Self::from_digest(both)
    }

    /// A password's digest has 32 bytes, so no password has the credential of a certificate.
    fn of_certificate(user_digest: &[u8; 32], name: &CertificateName) -> Self {
        let (text, kind) = name.parts();
        let name = Sha256::new().chain_update([kind]).chain_update(text).finalize();
        let all = Sha256::new().chain_update(user_digest).chain_update(name);
        Self::from_digest(all.chain_update("certificate"))
    }

    fn from_digest(digest: Sha256) -> Self {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for CredentialId {
    /// Leaves out the credential's number, because it is derived from the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialId").finish_non_exhaustive()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(user: Option<&str>) -> Identity {
        Identity::new(user, &SecretString::from("correct horse"))
    }

    #[test]
    fn check_accepts_only_the_right_user_and_password() {
        let default = identity(None);
        assert!(default.check(b"default", b"correct horse").is_some());
        assert!(default.check(b"default", b"correct horse ").is_none());
        assert!(default.check(b"default", b"").is_none());
        assert!(default.check(b"Default", b"correct horse").is_none());
        assert!(default.check(b"app", b"correct horse").is_none());
        let named = identity(Some("app"));
        assert!(named.check(b"app", b"correct horse").is_some());
        assert!(named.check(b"default", b"correct horse").is_none());
    }

    #[test]
    fn credential_id_is_the_same_in_another_identity_of_the_same_user() {
        let old = identity(None);
        let both = Identity::new(None, &"battery staple".into()).or(&"correct horse".into());
        let new = Identity::new(None, &"battery staple".into());
        let first = old.check(b"default", b"correct horse").unwrap();
        let second = both.check(b"default", b"battery staple").unwrap();
        assert_ne!(first, second);
        assert_eq!(both.check(b"default", b"correct horse"), Some(first));
        assert!(both.check(b"default", b"correct staple").is_none());
        assert!(old.accepts(first) && both.accepts(first) && !new.accepts(first));
        assert!(!old.accepts(second) && both.accepts(second) && new.accepts(second));
        assert!(!identity(Some("app")).accepts(first), "the credential belongs to another user");
    }

    #[test]
    fn each_identity_is_found_by_its_own_user_and_password_only() {
        let of = |user, password: &str| Identity::new(Some(user), &password.into());
        let ids = [0, 1, 7].map(|number| IdentityId::new(number).unwrap());
        let identities = Identities::new([
            (ids[0], of("a", "one")),
            (ids[1], of("b", "two").or(&"old".into())),
            (ids[2], of("c", "one")),
        ]);
        let found = |user: &[u8], password: &[u8]| {
            identities.check(user, password).map(|found| (found.identity, found.user.to_string()))
        };
        for (user, password, id) in
            [("a", "one", 0), ("b", "two", 1), ("b", "old", 1), ("c", "one", 2)]
        {
            let expected = Some((ids[id], user.to_owned()));
            assert_eq!(found(user.as_bytes(), password.as_bytes()), expected);
        }
        for (user, password) in [("a", "two"), ("b", "one"), ("c", "two"), ("d", "one"), ("", "")] {
            assert_eq!(found(user.as_bytes(), password.as_bytes()), None, "{user} {password}");
        }
        let old = identities.check(b"b", b"old").unwrap();
        assert!(identities.accept(&old));
        let other = Identities::new([(ids[2], of("b", "two").or(&"old".into()))]);
        assert!(!other.accept(&old), "it has the name of a former identity");
        let without = Identities::new([(ids[1], of("b", "two"))]);
        assert!(!without.accept(&old));
        assert!(Identities::new([]).check(b"a", b"one").is_none());
        assert_eq!(IdentityId::new(u16::MAX), None);
    }

    #[test]
    fn certificate_names_one_identity_or_none() {
        let ids = [1, 2, 3].map(|number| IdentityId::new(number).unwrap());
        let of = |user: &str| Identity::without_password(user);
        let name = CertificateName::configured;
        let identities = Identities::new([
            (ids[0], of("a").certified_by(name("spiffe://x/a"))),
            (ids[1], of("b").certified_by(name("b.example.org"))),
            (ids[2], Identity::new(Some("c"), &"pw".into())),
        ]);
        let certified = |names: &[&str]| {
            identities.certified(&names.iter().map(|text| name(text)).collect::<Vec<_>>())
        };
        let Certified::As(a) = certified(&["other.org", "spiffe://x/a"]) else { panic!("nobody") };
        assert_eq!((a.identity, &*a.user), (ids[0], "a"));
        assert!(matches!(certified(&["B.example.org"]), Certified::As(b) if b.identity == ids[1]));
        assert_eq!(certified(&["c"]), Certified::Nobody);
        assert_eq!(certified(&[]), Certified::Nobody);
        assert_eq!(certified(&["spiffe://x/a", "b.example.org"]), Certified::Several);
        assert!(identities.check(b"a", b"").is_none() && identities.check(b"a", b"pw").is_none());
        assert!(identities.accept(&a));
        let changed = Identities::new([(ids[0], of("a").certified_by(name("spiffe://x/z")))]);
        assert!(!changed.accept(&a));
        let removed = Identities::new([(ids[0], of("a").or(&"spiffe://x/a".into()))]);
        assert!(!removed.accept(&a));
    }

    #[test]
    fn debug_output_of_an_identity_shows_no_secret() {
        let app = identity(Some("app"));
        let shown = format!("{app:?} {:?}", app.check(b"app", b"correct horse"));
        assert_eq!(shown, "Identity { user: \"app\", .. } Some(CredentialId { .. })");
    }
}
