//! What becomes of sessions at the bound on links: those that wait for one, and those that lose theirs.

use std::time::Instant;

use super::{Router, SessionId};
use crate::session::CloseReason;

impl Router {
    /// Ends the sessions whose link was closed, as others needed its place.
    pub(super) fn close_displaced(&mut self) {
        if !self.links.has_displaced() {
            return;
        }
        for id in self.links.take_displaced() {
            if let Some(session) = self.sessions.get_mut(id.key()) {
                session.lose_link(CloseReason::LinkLimit, &mut self.counters.commands);
            }
            self.abort(id, CloseReason::LinkLimit);
        }
    }

    /// Looks again at the requests that wait for a link, the longest wait first.
    pub(super) fn resume_without_link(&mut self, now: Instant) {
        let waiting = self
            .sessions
            .iter()
            .filter_map(|(key, session)| session.wants_link.map(|since| (since, SessionId(key))));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|(since, _)| *since);
        for (_, id) in waiting {
            self.resume(id, now);
            if let Some(session) = self.sessions.get_mut(id.key())
                && session.pause.is_none()
            {
                session.wants_link = None;
            }
        }
    }
}
