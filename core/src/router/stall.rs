//! Shared links that owe a reply for too long.
//!
//! Time is counted from tick to tick, so nothing is added to the work for a request.

use std::time::{Duration, Instant};

use super::links::Usage;
use super::{LinkId, Router, SessionId};
use crate::session::CloseReason;
use crate::upstream::Phase;

/// From one tick to the next. After more, this thread itself has not run, and what has arrived
/// meanwhile is still to be read.
const LONGEST_TICK: Duration = Duration::from_secs(2);

/// A shared link that was closed because it owed a reply for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    /// The session whose reply was due next.
    pub first: Option<SessionId>,
    /// How many sessions had replies due.
    pub sessions: usize,
}

impl Router {
    /// Notes for each shared link since when it has owed a reply without a byte from Redis. To be
    /// called at each tick.
    pub(super) fn note_owing(&mut self, now: Instant) {
        let before = self.last_tick.replace(now);
        let is_late = before.is_some_and(|at| now.saturating_duration_since(at) > LONGEST_TICK);
        for id in self.links.shared_ids() {
            let is_owing = !is_late && self.is_owing(id, now);
            self.links.note_owing(id, is_owing, now);
        }
    }

    /// Returns whether replies are due on a shared link that is read.
    fn is_owing(&self, id: LinkId, now: Instant) -> bool {
        let owes = self.links.get(id).is_some_and(|held| {
            held.link.phase() == Phase::Ready
                && matches!(&held.usage, Usage::Shared(shared) if !shared.is_empty())
        });
        owes && self.link_wants_read(id, now)
    }

    /// Closes the shared links that have owed a reply for `timeout`, with the sessions that replies
    /// are due to on them.
    pub fn close_stalled(&mut self, timeout: Duration, now: Instant) -> Vec<Stalled> {
        let mut closed = Vec::new();
        for id in self.links.owing_for(timeout, now) {
            let Some(Usage::Shared(shared)) = self.links.get(id).map(|held| &held.usage) else {
                continue;
            };
            let is_here = |id: &SessionId| self.sessions.contains_key(id.key());
            let mut due: Vec<_> = shared.owed_sessions().filter(is_here).collect();
            let first = due.first().copied();
            due.sort_unstable_by_key(|id| id.key());
            due.dedup();
            closed.push(Stalled { first, sessions: due.len() });
            self.drop_link(id, CloseReason::UpstreamStalled, now);
        }
        closed
    }
}
