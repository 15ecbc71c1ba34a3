//! The credentials of links.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::auth::IdentityId;

/// The credentials of a link. There is no `Debug`.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The ACL user; `None` means `default`.
    pub user: Option<String>,
    /// The user's password; without one, links send no `AUTH` and work only if Redis requires none.
    pub password: Option<SecretString>,
}

impl Credentials {
    /// Returns true if both are equal.
    pub fn are(&self, others: &Self) -> bool {
        let [these, others] = [self, others]
            .map(|of| (of.user.as_deref(), of.password.as_ref().map(ExposeSecret::expose_secret)));
        these == others
    }
}

/// The credentials of links by the identity on whose behalf a link is logged in. There is no `Debug`.
#[derive(Clone, Default)]
pub struct LinkCredentials {
    of: BTreeMap<IdentityId, Credentials>,
}

impl LinkCredentials {
    /// Returns the credentials of links of the first identity, and of no other.
    pub fn of_one(credentials: Credentials) -> Self {
        Self::default().with(IdentityId::FIRST, credentials)
    }

    /// Adds the credentials for `identity`.
    #[must_use]
    pub fn with(mut self, identity: IdentityId, credentials: Credentials) -> Self {
        self.of.insert(identity, credentials);
        self
    }

    /// Returns the credentials for `identity`; `None` if there are none, and then no link may be opened for it.
    pub fn of(&self, identity: IdentityId) -> Option<&Credentials> {
        self.of.get(&identity)
    }

    /// Returns the identities whose credentials in `others` are other ones, or that only one of both has.
    pub fn that_differ(&self, others: &Self) -> Vec<IdentityId> {
        let all = self.of.keys().chain(others.of.keys().filter(|id| !self.of.contains_key(id)));
        let differ = |id: &&IdentityId| match (self.of(**id), others.of(**id)) {
            (Some(these), Some(others)) => !these.are(others),
            _ => true,
        };
        all.filter(differ).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_with_other_credentials_are_found() {
        let id = |number| IdentityId::new(number).unwrap();
        let of = |password: &str| Credentials { user: None, password: Some(password.into()) };
        let old = LinkCredentials::of_one(of("a")).with(id(1), of("b")).with(id(2), of("c"));
        let new = LinkCredentials::of_one(of("a")).with(id(1), of("x")).with(id(3), of("d"));
        assert_eq!(old.that_differ(&new), [id(1), id(2), id(3)]);
        assert!(old.that_differ(&old).is_empty());
        assert!(old.of(IdentityId::NOBODY).is_none());
    }
}
