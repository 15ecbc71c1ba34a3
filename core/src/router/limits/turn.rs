//! Turns: how much one session may do before the others run.
//!
//! A worker is one thread, so a session that is worked on until its socket is empty makes all others
//! wait. In one turn a session is read and its requests are taken up to the bounds here. What is left
//! waits in its input, and the session in [`Pause::Turn`], until the shell gives it another turn with
//! [`Router::take_turn`]. Meanwhile its socket is not read, so its input does not grow.

use std::time::Instant;

use super::pause::Pause;
use crate::router::session::Session;
use crate::router::{Router, SessionId};
use crate::session::Limits;

/// What a session may still do in this turn; see [`Limits::turn`].
#[derive(Debug, Clone, Copy)]
pub(in crate::router) struct Work(u32);

impl Work {
    /// What a request costs besides that is decided on and not merely passed on.
    const DECISION: u32 = 3;
    /// What a request costs besides that is logged: a wrong password, a refused command.
    const EVENT: u32 = 12;

    /// At the beginning of a turn.
    pub(in crate::router) fn of(session: &Session, limits: &Limits) -> Self {
        Self(if session.state.is_authenticated() { limits.turn } else { limits.turn.div_ceil(8) })
    }

    /// Returns whether the turn is over.
    #[inline]
    pub(in crate::router) fn is_over(self) -> bool {
        self.0 == 0
    }

    /// A request is taken.
    #[inline]
    pub(in crate::router) fn request(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// The decision on the request was a special one; `is_logged` if there is a log line about it.
    #[inline]
    pub(in crate::router) fn decision(&mut self, is_logged: bool) {
        let logged = if is_logged { Self::EVENT } else { 0 };
        self.0 = self.0.saturating_sub(Self::DECISION.saturating_add(logged));
    }
}

impl Router {
    /// Bytes read in one turn from a client that has not authenticated. Its request may be larger,
    /// and is put together from several reads.
    const UNAUTHENTICATED_READ: usize = 4 << 10;
    /// Bytes read in one turn from a client that has.
    const READ: usize = 64 << 10;
    /// Bytes read in one turn while a large request passes through, which takes no more than copying.
    const LARGE_READ: usize = 256 << 10;

    /// Most bytes that are to be read from the client in one turn.
    pub fn read_size(&self, id: SessionId) -> usize {
        match self.sessions.get(id.0) {
            Some(session) if session.streaming.is_some() => Self::LARGE_READ,
            Some(session) if session.state.is_authenticated() => Self::READ,
            _ => Self::UNAUTHENTICATED_READ,
        }
    }

    /// Returns whether the client has sent more requests than were taken in one turn, so that
    /// [`Router::take_turn`] is to be called once others have had theirs.
    pub fn waits_for_turn(&self, id: SessionId) -> bool {
        self.sessions.get(id.0).is_some_and(|session| session.pause == Some(Pause::Turn))
    }

    /// Takes the requests of one more turn.
    pub fn take_turn(&mut self, id: SessionId, now: Instant) {
        if self.waits_for_turn(id) {
            self.take_requests(id, &[], now);
        }
    }
}
