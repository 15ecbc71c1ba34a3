//! Counts refused connections and logs the counts at intervals.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::audit;
use crate::telemetry;
use redoubt_core::auth::Refusal;

/// Shortest time between two log lines about refused connections, however many there are.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts by reason, over all listeners.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: [u64; Refusal::ALL.len()],
    /// The counts at the last log line of each reason, and the time of the last line.
    logged: [u64; Refusal::ALL.len()],
    logged_at: Option<Instant>,
}

impl Refusals {
    /// Counts a refused connection and logs it, unless a line was logged within [`INTERVAL`].
    pub(crate) fn count(&self, refusal: Refusal, now: Instant) {
        telemetry::metrics::connection_refused(refusal);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (count, reason) in state.counts.iter_mut().zip(Refusal::ALL) {
            *count += u64::from(reason == refusal);
        }
        if state.logged_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return;
        }
        state.logged_at = Some(now);
        state.log();
    }

    /// Returns all counts, by reason.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).counts;
        Refusal::ALL.into_iter().zip(counts)
    }

    /// Logs what has not been logged yet; called before a stop.
    pub(crate) fn log_rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).log();
    }
}

impl State {
    fn log(&mut self) {
        let Self { counts, logged, .. } = self;
        for ((reason, total), before) in Refusal::ALL.into_iter().zip(*counts).zip(*logged) {
            if total > before {
                let count = total - before;
                telemetry::refused(&reason, count, total);
                let reason = reason.to_string();
                audit::record(audit::Event::ConnectionsRefused { reason, count, total });
            }
        }
        *logged = *counts;
    }
}
