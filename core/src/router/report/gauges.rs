//! How full a worker is at one moment, for metrics.

use crate::router::Router;
use crate::router::limits::pause::Pause;

/// What is there now. Reading it looks at every session and link once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Links, each counted as one kind.
    pub links: LinkGauges,
    /// Replies that sessions are owed, from Redis or behind such.
    pub replies_due: usize,
    /// Sessions that are not read because of `limits.in_flight`.
    pub paused_in_flight: usize,
    /// Sessions that are not read because of `limits.commands_per_second`.
    pub paused_rate: usize,
    /// Sessions that are not read because of `limits.memory`.
    pub paused_memory: usize,
    /// Sessions that are not read until a link or the client takes more.
    pub paused_room: usize,
    /// Bytes of clients that are not whole requests yet, or that wait.
    pub client_input: usize,
    /// Bytes that wait for clients to read them.
    pub client_output: usize,
    /// Bytes that wait for Redis to read them.
    pub upstream_output: usize,
}

/// How many links there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkGauges {
    /// Logged in, for many sessions.
    pub shared: usize,
    /// Logged in, lent to one session.
    pub leased: usize,
    /// Logged in and clean, for the next session that needs one.
    pub pooled: usize,
    /// Not logged in yet.
    pub opening: usize,
}

impl Router {
    /// How full it is.
    pub fn levels(&self) -> Gauges {
        let mut levels = Gauges::default();
        self.links.add_to(&mut levels);
        for session in self.sessions.values() {
            add(&mut levels.replies_due, session.due.len());
            add(&mut levels.client_input, session.input.len());
            add(&mut levels.client_output, session.output.len());
            if session.memory_paused {
                add(&mut levels.paused_memory, 1);
                continue;
            }
            match session.pause {
                Some(Pause::InFlight) => add(&mut levels.paused_in_flight, 1),
                Some(Pause::Rate) => add(&mut levels.paused_rate, 1),
                Some(Pause::Room) => add(&mut levels.paused_room, 1),
                Some(Pause::Memory | Pause::Turn) | None => {}
            }
        }
        levels
    }
}

/// Adds without a way to overflow.
pub(in crate::router) fn add(level: &mut usize, more: usize) {
    *level = level.saturating_add(more);
}
