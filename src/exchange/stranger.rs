//! Sessions that have not authenticated, or failed to: what they may hold, and how long they wait.

use std::time::Instant;

use bytes::BytesMut;

use super::session::Session;
use super::{Exchange, SessionId};
use crate::auth::Pass;
use crate::session::CloseReason;

impl Exchange {
    /// A client has connected and been let in with `pass`.
    pub fn open_with(&mut self, pass: Pass, now: Instant) -> SessionId {
        let id = self.open(now);
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.pass = Some(pass);
        }
        id
    }

    /// Lets the sessions go on that have waited long enough.
    pub(super) fn release_held(&mut self, now: Instant) {
        let due = |session: &Session| session.held_until.is_some_and(|until| now >= until);
        let ids: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| due(session))
            .map(|(key, _)| SessionId(key))
            .collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(id.0) {
                session.held_until = None;
            }
            self.resume(id, now);
            self.touch(id);
        }
    }
}

impl Session {
    /// Whether it is neither read nor answered now.
    pub(super) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Counts what its buffers hold, if it has not authenticated. If that is more than before, and
    /// too much together with the others', it ends.
    pub(super) fn recount(&mut self) {
        if self.state.is_authenticated() {
            return;
        }
        let held = self.input.capacity().saturating_add(self.output.capacity());
        if self.pass.as_mut().is_none_or(|pass| pass.hold(held as u64)) {
            return;
        }
        self.kill(CloseReason::UnauthenticatedMemory);
        self.output = BytesMut::new();
        self.pass.as_mut().map(|pass| pass.hold(0));
    }
}
