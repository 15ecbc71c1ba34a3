//! The reasons why a session is not read.

/// The event that the requests of a session wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Pause {
    /// Replies: as many are pending as may be.
    InFlight,
    /// Time: the session has sent all commands that it may for now.
    Rate,
    /// Memory: all sessions together hold much, and so does this session.
    Memory,
    /// A link with room, a client that reads, or replies that must come first.
    Room,
    /// Its next turn: as many requests were taken as may be in one turn.
    Turn,
}

/// Counts how often sessions have been paused at their limits since the start; for a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pauses {
    /// At `limits.in_flight`.
    pub in_flight: u64,
    /// At `limits.commands_per_second`, or at a rate of the session's identity.
    pub rate: u64,
    /// Close to `limits.memory`.
    pub memory: u64,
}

impl Pauses {
    pub(in crate::router) fn count(&mut self, pause: Pause) {
        let counter = match pause {
            Pause::InFlight => &mut self.in_flight,
            Pause::Rate => &mut self.rate,
            Pause::Memory => &mut self.memory,
            Pause::Room | Pause::Turn => return,
        };
        *counter = counter.saturating_add(1);
    }
}
