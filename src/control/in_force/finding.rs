//! What the provisioning of the guard finds out about how links log in.

use std::sync::Arc;

use bytes::Bytes;

use crate::health::Health;
use crate::telemetry::metrics::{GuardState, guard};
use crate::worker::link_login::{Login, Way};

/// What was found out.
#[derive(Clone)]
pub(crate) enum Finding {
    /// It is not known any more how links log in: new links wait.
    Unknown,
    /// The same, and the rights of open links on which scripts may run are out of date: these are closed.
    Revoked {
        /// Whether links will log in as a guard, if one can be made.
        guarded: bool,
    },
    /// Links log in like this from here on.
    Settled {
        login: Arc<Login>,
        /// Whether Redis has under another name what the policy refuses, and would let clients run it.
        has_renamed: bool,
    },
    /// It could not be found out, since the upstream does not let Redoubt itself in. Links that wait give
    /// up; Redoubt tries again.
    Failed,
    /// It could not be found out, since the upstream has no time. Whoever waits for links is answered with
    /// this, the upstream's own error.
    Busy(Bytes),
}

impl Finding {
    /// Shows it as a metric and in `health`.
    pub(crate) fn show(&self, health: &Health) {
        let (state, name) = match self {
            Self::Unknown | Self::Revoked { .. } => (GuardState::Unknown, None),
            Self::Settled { login, .. } => match login.way {
                Way::Guard => (GuardState::Guarded, login.credentials.user.clone()),
                Way::Configured => (GuardState::Configured, None),
                Way::Open => (GuardState::Open, None),
            },
            // What was found before still holds for links that are open.
            Self::Failed | Self::Busy(_) => return,
        };
        guard(state);
        health.guard(state, name);
    }
}
