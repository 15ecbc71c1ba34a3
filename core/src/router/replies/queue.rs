//! The sessions whose replies a shared link brings, in order.

use std::collections::VecDeque;

use slotmap::{DefaultKey, Key};

use super::demultiplexer::Recipients;
use crate::router::SessionId;

/// Runs of replies, each for one session. A session that has ended keeps its place, and its replies are
/// dropped. The reply to a barrier belongs to [`nobody`].
#[derive(Default)]
pub(in crate::router) struct Queue {
    runs: VecDeque<(SessionId, u32)>,
    /// The sum of the counts in `runs`.
    replies: usize,
}

/// Returns the id to which the reply to a barrier belongs. No session has this id.
pub(in crate::router) fn nobody() -> SessionId {
    SessionId(DefaultKey::null())
}

impl Recipients for Queue {
    const IS_OWN: bool = false;

    #[inline]
    fn front(&self) -> Option<(SessionId, u32)> {
        self.runs.front().copied()
    }

    #[inline]
    fn answered(&mut self, many: u32) {
        self.replies = self.replies.saturating_sub(many as usize);
        if let Some((_, count)) = self.runs.front_mut() {
            *count = count.saturating_sub(many);
            if *count == 0 {
                self.runs.pop_front();
            }
        }
    }
}

impl Queue {
    /// Returns whether no reply is pending.
    pub(in crate::router) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Returns the number of runs.
    pub(in crate::router) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Returns the number of pending replies, including those to barriers.
    pub(in crate::router) fn replies(&self) -> usize {
        self.replies
    }

    /// Returns each run: its session and its number of pending replies.
    pub(in crate::router) fn iter(&self) -> impl Iterator<Item = (SessionId, u32)> {
        self.runs.iter().copied()
    }

    /// Adds a pending reply for `session`.
    #[inline]
    pub(in crate::router) fn push(&mut self, session: SessionId) {
        self.replies = self.replies.saturating_add(1);
        if let Some((last, count)) = self.runs.back_mut()
            && *last == session
            && let Some(more) = count.checked_add(1)
        {
            *count = more;
            return;
        }
        self.runs.push_back((session, 1));
    }

    /// Adds the pending reply to a barrier.
    pub(in crate::router) fn push_barrier(&mut self) {
        self.replies = self.replies.saturating_add(1);
        self.runs.push_back((nobody(), 1));
    }

    /// Removes the run in front, with all replies that are still pending in it.
    pub(in crate::router) fn pop_run(&mut self) -> Option<SessionId> {
        let (session, left) = self.runs.pop_front()?;
        self.replies = self.replies.saturating_sub(left as usize);
        Some(session)
    }

    /// Returns the bytes of its memory.
    pub(in crate::router) fn memory(&self) -> usize {
        self.runs.capacity().saturating_mul(size_of::<(SessionId, u32)>())
    }

    /// Frees memory that is not needed now.
    pub(in crate::router) fn compact(&mut self) {
        if self.runs.capacity() / 4 > self.runs.len() {
            self.runs.shrink_to(self.runs.len().saturating_mul(2));
        }
    }
}
