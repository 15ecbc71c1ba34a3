//! What happened to which session.

use std::sync::Arc;

use crate::router::SessionId;
use crate::session::{Event, State};

/// Something worth a log line, of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    /// The session that it happened to.
    pub session: SessionId,
    /// The user that the session was when it happened; `None` before a right `AUTH`, and after `RESET`.
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
