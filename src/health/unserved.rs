//! Counts sessions that end at once because the upstream is unavailable, and logs the count at
//! intervals.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry;

/// Shortest time between two log lines, and how long after such a session more are expected.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts such sessions, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Unserved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Sessions that have not been logged yet.
    count: u64,
    last: Option<Instant>,
    logged_at: Option<Instant>,
}

impl Unserved {
    /// Notes that such a session ended; `is_logged` if it had log lines of its own.
    pub(crate) fn ended(&self, is_logged: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = Some(now);
        if is_logged {
            state.logged_at = Some(now);
        } else {
            state.count = state.count.saturating_add(1);
        }
    }

    /// Returns whether such a session ended recently, so that more are expected.
    pub(crate) fn expects_more(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_recent(state.last, now)
    }

    /// Logs the count, if the interval has passed.
    pub(crate) fn say_now_and_then(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count > 0 && !is_recent(state.logged_at, now) {
            state.logged_at = Some(now);
            state.log();
        }
    }

    /// Logs what has not been logged yet; called before a stop.
    pub(crate) fn say_rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).log();
    }
}

impl State {
    fn log(&mut self) {
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
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn first_session_is_logged_and_further_ones_are_counted() {
        let (unserved, start) = (Unserved::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let waiting = || unserved.0.lock().unwrap().count;
        assert!(!unserved.expects_more(start));
        unserved.ended(true, start);
        assert!(unserved.expects_more(after(9)) && !unserved.expects_more(after(10)));
        unserved.ended(false, after(9));
        unserved.say_now_and_then(after(9));
        assert_eq!(waiting(), 1, "logged again too soon");
        unserved.say_now_and_then(after(10));
        assert_eq!(waiting(), 0, "not logged");
        unserved.ended(false, after(11));
        unserved.say_now_and_then(after(19));
        assert_eq!(waiting(), 1, "logged again too soon");
        unserved.say_rest();
        assert_eq!(waiting(), 0, "not logged before the stop");
        assert!(unserved.expects_more(after(20)) && !unserved.expects_more(after(21)));
    }
}
