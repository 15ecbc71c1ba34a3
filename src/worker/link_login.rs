//! How links log in, as far as that is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use redoubt_core::auth::IdentityId;
use redoubt_core::command::Spec;
use redoubt_core::upstream::{Credentials, LinkCredentials};

/// What is known of how links log in.
#[derive(Clone, Default)]
pub(crate) struct LinkLogin {
    /// How links log in, or did when that was last known; `None` until it is known for the first time.
    pub(crate) last: Option<Arc<Login>>,
    /// Set while `last` holds. Links that are opened while it does not hold wait.
    pub(crate) is_known: bool,
    /// How often it could not be found out how links log in. When this counts up, links that wait give up.
    pub(crate) failures: u64,
    /// The server's own error if it had no time at the last of these failures. Sessions that wait for
    /// those links get it as their reply.
    pub(crate) busy: Option<Bytes>,
}

/// How links log in.
pub(crate) struct Login {
    /// Counts up; each login is newer than the one before. 0 if there is nothing to find out.
    pub(crate) epoch: u64,
    pub(crate) credentials: Credentials,
    pub(crate) way: Way,
    /// How links of the identities with rights of their own log in. One that is missing is refused.
    pub(crate) identities: BTreeMap<IdentityId, IdentityLogin>,
}

/// How links of an identity with rights of its own log in.
#[derive(Clone)]
pub(crate) struct IdentityLogin {
    pub(crate) credentials: Credentials,
    pub(crate) way: Way,
    /// `true` if Redis has a refused command under another name and would let the identity run it.
    pub(crate) has_renamed: bool,
    /// The commands that Redoubt must refuse to the identity where it answers for Redis.
    pub(crate) refused: Vec<&'static Spec>,
}

/// As whom links log in, and what that means for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a guard.
    Guard,
    /// As the configured user, who may not run what the policy refuses, or need not be asked.
    Configured,
    /// As the configured user, who may run what the policy refuses, so that scripts are refused.
    Open,
}

impl Login {
    /// Returns the credentials of the links of all identities.
    pub(super) fn link_credentials(&self) -> LinkCredentials {
        let first = LinkCredentials::of_one(self.credentials.clone());
        self.identities
            .iter()
            .fold(first, |all, (id, login)| all.with(*id, login.credentials.clone()))
    }

    /// Returns whether links of any identity log in as a guard.
    pub(super) fn has_guards(&self) -> bool {
        self.way == Way::Guard || self.identities.values().any(|login| login.way == Way::Guard)
    }
}

impl LinkLogin {
    /// Links log in with the configured credentials, for ever: there is nothing to find out.
    pub(crate) fn configured(
        credentials: Credentials,
        identities: BTreeMap<IdentityId, IdentityLogin>,
    ) -> Self {
        let login = Login { epoch: 0, credentials, way: Way::Configured, identities };
        Self { last: Some(Arc::new(login)), is_known: true, ..Self::default() }
    }

    /// Returns how links log in now, if that is known.
    pub(crate) fn known(&self) -> Option<&Arc<Login>> {
        self.last.as_ref().filter(|_| self.is_known)
    }

    /// As [`LinkLogin::known`]; with `refused`, returns only a login of a later epoch.
    pub(super) fn later_than(&self, refused: Option<u64>) -> Option<&Arc<Login>> {
        self.known().filter(|login| refused.is_none_or(|refused| login.epoch > refused))
    }
}
