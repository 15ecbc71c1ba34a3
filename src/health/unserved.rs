//! How many sessions have ended at once because the upstream is unavailable, for the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry;

/// Interval at which the count is logged, and how long after such a session another is expected.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts such sessions, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Unserved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those not spoken of yet.
    count: u64,
    last: Option<Instant>,
    said: Option<Instant>,
}

impl Unserved {
    /// One ended; `is_said` if it has had lines of its own.
    pub(crate) fn ended(&self, is_said: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = Some(now);
        if is_said {
            state.said = Some(now);
        } else {
            state.count = state.count.saturating_add(1);
        }
    }

    /// Returns whether one has ended not long ago, so that more are to be expected.
    pub(crate) fn expects_more(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_recent(state.last, now)
    }

    /// Says how many there were, if that is due.
    pub(crate) fn say_now_and_then(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count > 0 && !is_recent(state.said, now) {
            state.said = Some(now);
            state.say();
        }
    }

    /// Says what has not been said yet, before a stop.
    pub(crate) fn say_rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).say();
    }
}

impl State {
    fn say(&mut self) {
        if self.count > 0 {
            telemetry::unserved(self.count);
            self.count = 0;
        }
    }
}

fn is_recent(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a point in time to count from")]
    fn the_first_is_told_and_the_next_are_counted_while_more_are_expected() {
        let (unserved, start) = (Unserved::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let waiting = || unserved.0.lock().unwrap().count;
        assert!(!unserved.expects_more(start));
        unserved.ended(true, start);
        assert!(unserved.expects_more(after(9)) && !unserved.expects_more(after(10)));
        unserved.ended(false, after(9));
        unserved.say_now_and_then(after(9));
        assert_eq!(waiting(), 1, "said again too soon");
        unserved.say_now_and_then(after(10));
        assert_eq!(waiting(), 0, "not said");
        unserved.ended(false, after(11));
        unserved.say_now_and_then(after(19));
        assert_eq!(waiting(), 1, "said again too soon");
        unserved.say_rest();
        assert_eq!(waiting(), 0, "not said before the stop");
        assert!(unserved.expects_more(after(20)) && !unserved.expects_more(after(21)));
    }
}
