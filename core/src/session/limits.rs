//! What one session may take up, and what becomes of it at each bound.

use super::bucket::Rate;
use crate::resp::RequestLimits;

/// Bounds on each session once it has authenticated; before that, Redis's own for strangers hold.
///
/// A part of the rules, so shared by all sessions and swapped whole. A session has at most one
/// lease, always; how many there are in all is the links' own bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most arguments of a request, and most bytes of each. Over them it is a protocol error, which
    /// Redis's own error tells, and the session ends.
    pub request: RequestLimits,
    /// Most bytes of a request as the client sends it. Over them the session is closed without a
    /// reply, as Redis closes a client that is over `client-query-buffer-limit`.
    pub request_size: usize,
    /// Most requests whose replies are due; above zero. At that the session is not read.
    pub in_flight: u32,
    /// Most bytes that wait for a client of a shared link; at least 1 MiB. Over them the session is
    /// closed. Of a lease, which can wait, no more is read long before.
    pub output_buffer: usize,
    /// Most bytes that all sessions of all workers hold together. Over them the one that holds most is
    /// closed; from three quarters on, sessions that hold much are not read.
    pub memory: u64,
    /// Most channels, patterns and shard channels. With one more the session is closed; Redis has
    /// no such bound, so there is no reply to give.
    pub subscriptions: u32,
    /// How fast commands are taken; `None` sets no bound. Over it the session is not read until it
    /// may go on.
    pub rate: Option<Rate>,
    /// Work that is done for the session before others have their turn, in requests that are passed
    /// on as they came; others cost more. Before it has authenticated, an eighth of it.
    pub turn: u32,
}

impl Limits {
    /// Most bytes that wait for a client before a session is given a link of its own.
    const CLIENT_PAUSE: usize = 1 << 20;

    /// Bytes waiting for the client at which a session on a shared link is given a link of its own,
    /// and at which unread local replies keep its requests from being taken.
    pub fn client_pause(&self) -> usize {
        Self::CLIENT_PAUSE.min(self.output_buffer / 2)
    }

    /// Bytes waiting for the client at which a shared link is no longer read for a while, though
    /// others' replies are behind: three quarters of the bound.
    pub fn output_pause(&self) -> usize {
        self.output_buffer.saturating_sub(self.output_buffer / 4)
    }

    /// Bytes waiting for the client at which it has caught up: a quarter of the bound.
    pub fn caught_up(&self) -> usize {
        self.output_buffer / 4
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: RequestLimits::AUTHENTICATED,
            request_size: 1 << 30,
            in_flight: 1_000_000,
            output_buffer: 32 << 20,
            memory: 192 << 20,
            subscriptions: 100_000,
            rate: None,
            turn: 512,
        }
    }
}
