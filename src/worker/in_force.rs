//! The one value that says what is in force.
//!
//! The control plane composes each value and sends it whole. A worker compares it with the value that it
//! has and acts on the difference; nothing else changes the worker's rules, credentials or timeouts. So no
//! request is decided by a part of a change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot, watch};

use super::link_login::{LinkLogin, Login};
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::router::Timeouts;
use redoubt_core::session::Rulebook;
use redoubt_core::upstream::LoginError;
use redoubt_core::upstream::guard::GuardError;

/// Everything that sessions and links of all workers obey. A value never changes; the next one takes its
/// place.
pub(crate) struct InForce {
    /// Counts up with each value.
    pub(crate) version: u64,
    /// The rules of all sessions, complete: the policy without what the server makes needless, and the
    /// scripts without those that are withheld.
    pub(crate) rules: Arc<Rulebook>,
    pub(crate) timeouts: Timeouts,
    /// Where links go.
    pub(crate) target: Target,
    /// How long sessions may take to end when the worker stops.
    pub(crate) shutdown_timeout: Duration,
    /// How long a shared link may owe a reply while Redis answers on another; `None` for ever.
    pub(crate) stall_timeout: Option<Duration>,
    /// Networks that sessions may come from; every network if it is empty.
    pub(crate) allow: Arc<[IpNet]>,
    /// How links log in.
    pub(crate) login: LinkLogin,
    /// Counts up when links on which scripts may run or wait have to be closed, since those scripts have
    /// more rights there than they should.
    pub(crate) scripts_generation: u64,
}

/// How a worker answers when a value is in force.
pub(crate) struct Acknowledgement {
    /// Receives how many sessions end because of the value.
    pub(crate) ended: oneshot::Sender<u64>,
    /// Dropped when Redis has dealt with all that was sent over the links that the value closes. `None`
    /// if nobody waits for that; links are then closed without waiting for Redis.
    pub(crate) finishing: Option<mpsc::Sender<Infallible>>,
}

/// Waits until it is known how links log in; with `refused`, until that is a login of a later epoch. The
/// wait has no limit in time. Cancel safe.
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
