//! Turns: how much one session may do before the others run.
//!
//! A worker is one thread, so a session that is served until its socket is empty makes all others wait.
//! In one turn a session is read and its requests are taken up to the bounds here. The rest waits in its
//! input, and the session in [`Pause::Turn`](super::pause::Pause::Turn), until the shell gives it another
//! turn. Meanwhile its socket is not read, so its input does not grow.

use crate::router::session::Session;
use crate::session::Limits;

/// What a session may still do in this turn; see [`Limits::turn`].
#[derive(Debug, Clone, Copy)]
pub(in crate::router) struct Work(u32);

impl Work {
    /// What a request costs in addition if a special decision is made for it.
    const DECISION: u32 = 3;
    /// What a request costs in addition if it is logged: a wrong password, a refused command.
    const EVENT: u32 = 12;

    /// Bytes that are read in one turn from a client that has not authenticated. Its request may be larger,
    /// and is put together from several reads.
    const UNAUTHENTICATED_READ: usize = 4 << 10;
    /// Bytes that are read in one turn from a client that has authenticated.
    const READ: usize = 64 << 10;
    /// Bytes that are read in one turn while a large request passes through, which only copies them.
    const LARGE_READ: usize = 256 << 10;

    /// Returns the work of a whole turn.
    pub(in crate::router) fn of(session: &Session, limits: &Limits) -> Self {
        Self(if session.state.is_authenticated() { limits.turn } else { limits.turn.div_ceil(8) })
    }

    /// Returns how many bytes are read from the session's client in one turn.
    pub(in crate::router) fn read_size(session: Option<&Session>) -> usize {
        match session {
            Some(session) if session.streaming.is_some() => Self::LARGE_READ,
            Some(session) if session.state.is_authenticated() => Self::READ,
            _ => Self::UNAUTHENTICATED_READ,
        }
    }

    /// Returns whether the turn is over.
    #[inline]
    pub(in crate::router) fn is_over(self) -> bool {
        self.0 == 0
    }

    /// Subtracts the cost of a request.
    #[inline]
    pub(in crate::router) fn request(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// Subtracts the cost of a special decision on the request; `is_logged` if the request is logged.
    #[inline]
    pub(in crate::router) fn special_decision(&mut self, is_logged: bool) {
        let logged = if is_logged { Self::EVENT } else { 0 };
        self.0 = self.0.saturating_sub(Self::DECISION.saturating_add(logged));
    }
}
