//! The results of provisioning the guard: how links log in.

use std::sync::Arc;

use bytes::Bytes;

use crate::health::Health;
use crate::telemetry::metrics::{GuardState, guard};
use crate::worker::link_login::{Login, Way};

/// What is known about how links log in.
#[derive(Clone)]
pub(crate) enum Finding {
    /// It is unknown: new links wait.
    Unknown,
    /// It is unknown, and the rights of open links with scripts are out of date: these links are
    /// closed.
    Revoked {
        /// `true` if links will log in as a guard, if one can be made.
        guarded: bool,
    },
    /// Links log in like this from now on.
    Login {
        login: Arc<Login>,
        /// `true` if Redis has a refused command under another name and would let clients run it.
        has_renamed: bool,
    },
    /// It could not be found out, since the upstream rejects Redoubt's own login. Links that wait
    /// give up; Redoubt tries again.
    Failed,
    /// It could not be found out, since the upstream is busy. Requests that wait for links get this
    /// reply, which is the upstream's own error.
    Busy(Bytes),
}

impl Finding {
    /// Shows the finding as a metric and in `health`.
    pub(crate) fn show(&self, health: &Health) {
        let (state, name) = match self {
            Self::Unknown | Self::Revoked { .. } => (GuardState::Unknown, None),
            Self::Login { login, .. } => match login.way {
                Way::Guard => (GuardState::Guarded, login.credentials.user.clone()),
                Way::Configured => (GuardState::Configured, None),
                Way::Open => (GuardState::Open, None),
            },
            // The previous finding stays in force for open links.
            Self::Failed | Self::Busy(_) => return,
        };
        guard(state);
        health.guard(state, name);
    }
}
