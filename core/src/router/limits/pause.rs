//! Why a session is not read.

/// What the requests of a session wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Pause {
    /// Replies: as many are due as may be.
    InFlight,
    /// Time: it has had all its commands for now.
    Rate,
    /// Memory: all sessions hold much, and so does it.
    Memory,
    /// A link that takes more, a client that reads, or the replies that must come first.
    Room,
    /// The other sessions' turns: as many were taken as may be in one.
    Turn,
}

/// How often sessions have been paused at their limits since the start; for a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pauses {
    /// At `limits.in_flight`.
    pub in_flight: u64,
    /// At `limits.commands_per_second`.
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
