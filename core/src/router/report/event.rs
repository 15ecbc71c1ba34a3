//! Events of sessions.

use std::sync::Arc;

use crate::router::SessionId;
use crate::session::{Event, State};

/// An event of one session, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    /// The session that it happened to.
    pub session: SessionId,
    /// The user as which the session was authenticated then; `None` if it was not.
    pub user: Option<Arc<str>>,
    /// What happened.
    pub event: Event,
}

impl SessionEvent {
    /// An event of a session in `state`.
    pub(in crate::router) fn of(session: SessionId, state: &State, event: Event) -> Self {
        Self { session, user: state.user().cloned(), event }
    }
}
