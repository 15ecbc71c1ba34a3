//! How many connections were refused, and saying so now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::audit;
use crate::telemetry;
use redoubt_core::auth::Refusal;

/// How often refused connections are spoken of, however many there are.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts by reason, over all listeners.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: [u64; Refusal::ALL.len()],
    /// Which refusals were logged, and when.
    said: [u64; Refusal::ALL.len()],
    said_at: Option<Instant>,
}

impl Refusals {
    /// One more connection was refused.
    pub(crate) fn count(&self, refusal: Refusal, now: Instant) {
        telemetry::metrics::connection_refused(refusal);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (count, reason) in state.counts.iter_mut().zip(Refusal::ALL) {
            *count += u64::from(reason == refusal);
        }
        if state.said_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return;
        }
        state.said_at = Some(now);
        state.say();
    }

    /// All that have been counted, by reason.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).counts;
        Refusal::ALL.into_iter().zip(counts)
    }

    /// Says what has not been said yet, before a stop.
    pub(crate) fn say_rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).say();
    }
}

impl State {
    fn say(&mut self) {
        let Self { counts, said, .. } = self;
        for ((reason, total), before) in Refusal::ALL.into_iter().zip(*counts).zip(*said) {
            if total > before {
                let count = total - before;
                telemetry::refused(&reason, count, total);
                let reason = reason.to_string();
                audit::record(audit::Event::ConnectionsRefused { reason, count, total });
            }
        }
        *said = *counts;
    }
}
