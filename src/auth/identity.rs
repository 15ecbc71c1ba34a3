//! One client identity: a user name and the digest of its password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The user that `AUTH password` speaks of, as in Redis's ACL.
pub const DEFAULT_USER: &str = "default";

/// Who a client may log in as.
///
/// Only SHA-256 digests are kept, so every comparison is between values of one size, and a memory
/// dump does not show the password.
#[derive(Clone)]
pub struct Identity {
    user: String,
    user_digest: [u8; 32],
    password_digest: [u8; 32],
}

impl Identity {
    /// An identity named `user`, or [`DEFAULT_USER`] when there is no name.
    pub fn new(user: Option<&str>, password: &SecretString) -> Self {
        let user = user.unwrap_or(DEFAULT_USER).to_owned();
        let user_digest = digest(user.as_bytes());
        let password_digest = digest(password.expose_secret().as_bytes());
        Self { user, user_digest, password_digest }
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether `user` and `password` are this identity's.
    ///
    /// Both are always compared, whether the user is known or not.
    pub fn matches(&self, user: &[u8], password: &[u8]) -> bool {
        let user: Choice = digest(user).ct_eq(&self.user_digest);
        let password: Choice = digest(password).ct_eq(&self.password_digest);
        bool::from(user & password)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
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
    fn the_right_pair_matches_and_no_other() {
        let default = identity(None);
        assert!(default.matches(b"default", b"correct horse"));
        assert!(!default.matches(b"default", b"correct horse "));
        assert!(!default.matches(b"default", b""));
        assert!(!default.matches(b"Default", b"correct horse"));
        assert!(!default.matches(b"app", b"correct horse"));
        let named = identity(Some("app"));
        assert!(named.matches(b"app", b"correct horse"));
        assert!(!named.matches(b"default", b"correct horse"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", identity(Some("app")));
        assert!(shown.contains("app"));
        assert!(!shown.contains("horse") && !shown.contains("digest"));
    }
}
