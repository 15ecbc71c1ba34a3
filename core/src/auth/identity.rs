//! One client identity: a user name and the digests of the passwords that are accepted for it.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The user that a one-argument `AUTH password` logs in as, as in Redis's ACL.
pub const DEFAULT_USER: &str = "default";

/// An identity that clients log in as.
///
/// Only SHA-256 digests are kept, so every comparison is between values of one size, and a memory
/// dump does not show a password.
#[derive(Clone)]
pub struct Identity {
    user: Arc<str>,
    user_digest: [u8; 32],
    credentials: Vec<Credential>,
}

/// Identifies the credential that a session logged in with: one user and one password of an
/// [`Identity`]. Its value does not change when other passwords of the identity are added or withdrawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialId(u64);

/// Who a session is after a right `AUTH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The user's name.
    pub user: Arc<str>,
    /// The credential that the session has logged in with.
    pub credential: CredentialId,
}

#[derive(Clone)]
struct Credential {
    id: CredentialId,
    password_digest: [u8; 32],
}

impl Identity {
    /// Creates an identity named `user`, or [`DEFAULT_USER`] if `user` is `None`.
    pub fn new(user: Option<&str>, password: &SecretString) -> Self {
        let user = Arc::from(user.unwrap_or(DEFAULT_USER));
        let user_digest = digest(str::as_bytes(&user));
        Self { user, user_digest, credentials: Vec::new() }.or(password)
    }

    /// Returns the same identity, which accepts `password` as well.
    pub fn or(mut self, password: &SecretString) -> Self {
        let password_digest = digest(password.expose_secret().as_bytes());
        let id = CredentialId::of(&self.user_digest, &password_digest);
        self.credentials.push(Credential { id, password_digest });
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
        let user: Choice = digest(user).ct_eq(&self.user_digest);
        let password = digest(password);
        let mut id = 0;
        let mut known = Choice::from(0);
        for credential in &self.credentials {
            let same = password.ct_eq(&credential.password_digest);
            id.conditional_assign(&credential.id.0, same);
            known |= same;
        }
        bool::from(user & known).then_some(CredentialId(id))
    }

    /// Returns true if a session that logged in with `credential` may stay.
    pub fn accepts(&self, credential: CredentialId) -> bool {
        self.credentials.iter().any(|accepted| accepted.id == credential)
    }
}

impl CredentialId {
    fn of(user_digest: &[u8; 32], password_digest: &[u8; 32]) -> Self {
        let both = Sha256::new().chain_update(user_digest).chain_update(password_digest);
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = both.finalize().into();
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
    fn debug_output_of_an_identity_shows_no_secret() {
        let app = identity(Some("app"));
        let shown = format!("{app:?} {:?}", app.check(b"app", b"correct horse"));
        assert_eq!(shown, "Identity { user: \"app\", .. } Some(CredentialId { .. })");
    }
}
