//! Passwords that change while Redoubt runs: files that are rewritten, and a password whose time is up.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `client password changed` | info | `source` |
//! | `previous client password changed` | info | `source` |
//! | `previous client password is over` | info | |
//! | `upstream password changed` | info | `source` |
//! | `upstream does not take the new password yet` | warn | `source`, `reason` |
//! | `password file cannot be used` | warn | `source`, `problem` |
//! | `password file is not watched` | warn | `source` |
//!
//! `source` names the key or variable, and the file.

mod client;
mod file;
mod upstream;

use std::time::Duration;

use secrecy::ExposeSecret;

pub(super) use client::ClientPasswords;
pub(super) use upstream::UpstreamPassword;

use super::worker::{Order, WorkerHandle};
use crate::auth::Identity;
use crate::session::StandIn;
use crate::upstream::Credentials;

/// How often files and the clock are looked at. What is new in a file counts when it has been seen
/// twice, and sessions whose password is withdrawn are to be closed within a second.
const LOOK: Duration = Duration::from_millis(200);

/// Has all workers accept `identity` from now on; sessions that logged in with what it does not
/// hold are closed.
pub(super) async fn accept_clients(workers: &[WorkerHandle], identity: &Identity) {
    for worker in workers {
        worker.order(Order::Identity(identity.clone())).await;
    }
}

/// The requests in the place of clients' for links that log in with `credentials`.
pub(super) fn stand_in(credentials: &Credentials) -> StandIn {
    let password = credentials.password.as_ref().map(|p| p.expose_secret().as_bytes());
    StandIn::new(credentials.user.as_deref(), password, super::server::random())
}

/// The clock that looks at secrets go by; one that was late does not make up for it.
fn looks() -> tokio::time::Interval {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    looks
}
