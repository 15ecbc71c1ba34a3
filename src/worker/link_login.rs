//! How links log in, as far as that is known, and links that wait until it is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::in_force::InForce;
use crate::net::upstream::UpstreamError;
use redoubt_core::upstream::guard::GuardError;
use redoubt_core::upstream::{Credentials, LoginError};

/// What is known of how links log in.
#[derive(Clone, Default)]
pub(crate) struct LinkLogin {
    /// How they log in, or did when that was last known; `None` until it is known for the first time.
    pub(crate) last: Option<Arc<Login>>,
    /// Whether `last` holds now. Links that are opened while it does not hold wait.
    pub(crate) is_known: bool,
    /// How often it could not be found out. When this counts up, links that wait give up.
    pub(crate) failures: u64,
    /// The server's own error if it had no time at the last of these failures. Whoever waits for those
    /// links is answered with it.
    pub(crate) busy: Option<Bytes>,
}

/// How links log in.
pub(crate) struct Login {
    /// Counts up; each login is newer than the one before. 0 if there is nothing to be found out.
    pub(crate) epoch: u64,
    pub(crate) credentials: Credentials,
    pub(crate) way: Way,
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

impl LinkLogin {
    /// With the configured credentials, for ever: there is nothing to be found out.
    pub(crate) fn configured(credentials: Credentials) -> Self {
        let login = Login { epoch: 0, credentials, way: Way::Configured };
        Self { last: Some(Arc::new(login)), is_known: true, ..Self::default() }
    }

    /// How links log in now, if that is known.
    pub(crate) fn known(&self) -> Option<&Arc<Login>> {
        self.last.as_ref().filter(|_| self.is_known)
    }

    /// As [`LinkLogin::known`]; with `refused`, only a login of a later epoch.
    fn later_than(&self, refused: Option<u64>) -> Option<&Arc<Login>> {
        self.known().filter(|login| refused.is_none_or(|refused| login.epoch > refused))
    }
}

/// Waits until it is known how links log in; with `refused`, until that is a login of a later epoch. It is
/// not bounded in time. Cancel safe.
///
/// # Errors
/// It could not be found out meanwhile.
pub(crate) async fn wait_for_login(
    mut in_force: watch::Receiver<Arc<InForce>>,
    refused: Option<u64>,
) -> Result<Arc<Login>, UpstreamError> {
    let failures = in_force.borrow().login.failures;
    let is_over = |in_force: &Arc<InForce>| {
        let login = &in_force.login;
        login.later_than(refused).is_some() || login.failures != failures
    };
    let Ok(found) = in_force.wait_for(is_over).await else { return Err(not_let_in()) };
    match (found.login.later_than(refused), &found.login.busy) {
        (Some(login), _) => Ok(Arc::clone(login)),
        (None, Some(error)) => Err(LoginError::NotNow(error.clone()).into()),
        (None, None) => Err(not_let_in()),
    }
}

fn not_let_in() -> UpstreamError {
    GuardError::Later("Redoubt itself is not let in".to_owned()).into()
}
