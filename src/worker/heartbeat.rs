//! A worker's heartbeat: it tells whether the worker's loop still runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a worker's loop ran last. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    start: Instant,
    /// Milliseconds from `start` to the last beat.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A heartbeat whose first beat is at `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, last: Arc::default() }
    }

    /// Notes that the loop runs.
    pub(crate) fn beat(&self, now: Instant) {
        self.last.store(self.milliseconds(now), Ordering::Relaxed);
    }

    /// Notes that the loop has ended as it should, so that its silence means nothing.
    pub(crate) fn end(&self) {
        self.last.store(u64::MAX, Ordering::Relaxed);
    }

    /// Returns how long the loop has not run.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.milliseconds(now).saturating_sub(last))
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a point to count from; nothing waits for it")]
    fn silence_begins_anew_with_each_beat_and_ends_with_the_worker() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let beat = Heartbeat::new(start);
        assert_eq!(beat.silence(at(7)), Duration::from_secs(7));
        beat.beat(at(10));
        assert_eq!(beat.silence(at(12)), Duration::from_secs(2));
        assert_eq!(beat.silence(at(9)), Duration::ZERO);
        beat.end();
        assert_eq!(beat.silence(at(1_000_000)), Duration::ZERO);
    }
}
