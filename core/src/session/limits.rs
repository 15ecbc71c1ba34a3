//! Limits for each session, and what happens at each of them.

use super::bucket::Rate;
use crate::resp::RequestLimits;

/// Limits for each authenticated session; for unauthenticated clients Redis's own limits apply.
///
/// They are a part of the rules: all sessions share them, and a reload replaces them as a whole. A
/// session has at most one lease; the links have their own limit on the number of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most arguments of a request, and most bytes of each. A request over them gets Redis's protocol
    /// error, and the session is closed.
    pub request: RequestLimits,
    /// Most bytes of a request as the client sends it. Over them the session is closed without a reply,
    /// as Redis closes a client that is over `client-query-buffer-limit`.
    pub request_size: usize,
    /// Most pending replies; above zero. At this number Redoubt stops reading from the client.
    pub in_flight: u32,
    /// Most bytes that wait for a client on a shared link; at least 1 MiB. Over them the session is
    /// closed. Redoubt stops reading from a lease long before.
    pub output_buffer: usize,
    /// Most bytes that all sessions of all workers hold together. Over them the session that holds most
    /// is closed; from three quarters on, Redoubt stops reading from sessions that hold much.
    pub memory: u64,
    /// Most channels, patterns and shard channels. With one more the session is closed without a reply,
    /// since Redis has no such limit and so no error for it.
    pub subscriptions: u32,
    /// Most commands per second; `None` means no limit. Over it, Redoubt stops reading from the client
    /// until there are tokens again.
    pub rate: Option<Rate>,
    /// Work that is done for the session before other sessions have their turn, in plain requests;
    /// other requests count for more. Before authentication, an eighth of it.
    pub turn: u32,
}

impl Limits {
    /// Most bytes that wait for a client before its session gets a lease.
    const CLIENT_PAUSE: usize = 1 << 20;

    /// Returns the number of bytes waiting for the client at which a session on a shared link gets a
    /// lease, and at which unread replies of Redoubt's own stop its requests from being taken.
    pub fn client_pause(&self) -> usize {
        Self::CLIENT_PAUSE.min(self.output_buffer / 2)
    }

    /// Returns the number of bytes waiting for the client at which a shared link is not read for a
    /// while, although other sessions wait for replies on it: three quarters of the limit.
    pub fn output_pause(&self) -> usize {
        self.output_buffer.saturating_sub(self.output_buffer / 4)
    }

    /// Returns the number of bytes waiting for the client below which it has caught up: a quarter of
    /// the limit.
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
