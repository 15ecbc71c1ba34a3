//! Whose replies a shared link brings, in order.

use std::collections::VecDeque;

use slotmap::{DefaultKey, Key};

use super::demultiplexer::Recipients;
use crate::router::SessionId;

/// So many replies for a session, then so many for the next. A session that has gone keeps its place,
/// and its replies are dropped. The reply to a barrier is for [`nobody`].
#[derive(Default)]
pub(in crate::router) struct Queue {
    runs: VecDeque<(SessionId, u32)>,
    /// The sum of the counts in `runs`.
    replies: usize,
}

/// To whom the reply of a barrier is due: no session has this id.
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

    /// Runs of replies for one session each.
    pub(in crate::router) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Replies that are pending, those to barriers included.
    pub(in crate::router) fn replies(&self) -> usize {
        self.replies
    }

    /// Each run: for whom, and how many replies.
    pub(in crate::router) fn iter(&self) -> impl Iterator<Item = (SessionId, u32)> {
        self.runs.iter().copied()
    }

    /// One more reply is pending for `session`.
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

    /// The reply to a barrier is pending.
    pub(in crate::router) fn push_barrier(&mut self) {
        self.replies = self.replies.saturating_add(1);
        self.runs.push_back((nobody(), 1));
    }

    /// Takes the run in front, with all replies that are still pending in it.
    pub(in crate::router) fn pop_run(&mut self) -> Option<SessionId> {
        let (session, left) = self.runs.pop_front()?;
        self.replies = self.replies.saturating_sub(left as usize);
        Some(session)
    }

    /// Bytes of memory that it has.
    pub(in crate::router) fn memory(&self) -> usize {
        self.runs.capacity().saturating_mul(size_of::<(SessionId, u32)>())
    }

    /// Gives memory back that it does not need now.
    pub(in crate::router) fn compact(&mut self) {
        if self.runs.capacity() / 4 > self.runs.len() {
            self.runs.shrink_to(self.runs.len().saturating_mul(2));
        }
    }
}
