//! The log of sessions that end at once because the upstream is unavailable.
//!
//! While clients try again and again there may be thousands of them a second, each worth three
//! lines. So after the first one, what the log would say of a new session is held back until it has
//! lasted, and those that do not are counted. The audit log and the metrics have each.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::worker::{Worker, now};
use crate::telemetry;
use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Event};

/// Sessions that lasted less are counted; lines are held back for so long.
const BRIEF: Duration = Duration::from_secs(1);
/// How often the count is said, and for how long after such a session another is expected.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts such sessions, over all workers.
#[derive(Debug, Default)]
pub(super) struct Unserved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those not spoken of yet.
    count: u64,
    last: Option<Instant>,
    said: Option<Instant>,
}

/// What the log has not said of a session.
pub(super) struct Held {
    since: Instant,
    /// Whether it has authenticated, and as whom.
    user: Option<String>,
}

impl Unserved {
    /// One ended; `is_said` if it has had lines of its own.
    fn ended(&self, is_said: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = Some(now);
        if is_said {
            state.said = Some(now);
        } else {
            state.count = state.count.saturating_add(1);
        }
    }

    /// Whether one has ended not long ago, so that more are to be expected.
    fn expects_more(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_recent(state.last, now)
    }

    /// Says how many there were, if that is due.
    fn say_now_and_then(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count > 0 && !is_recent(state.said, now) {
            state.said = Some(now);
            state.say();
        }
    }

    /// Says what has not been said yet, before a stop.
    pub(super) fn say_rest(&self) {
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

impl Worker {
    /// Has the log say that a session has opened, now or later.
    pub(super) fn log_opened(&mut self, id: SessionId) {
        let now = now();
        if self.health.unserved.expects_more(now) {
            self.held.insert(id.key(), Held { since: now, user: None });
        } else if let Some(io) = self.clients.get(id.key()) {
            telemetry::opened(io.number, &io.peer, io.certificate.as_deref());
        }
    }

    /// Has the log say what happened to a session, now or later.
    pub(super) fn log(&mut self, id: SessionId, event: &Event) {
        if let Some(held) = self.held.get_mut(id.key()) {
            match event {
                Event::Authenticated { user } if held.user.is_none() => {
                    held.user = Some(user.clone());
                    return;
                }
                _ if is_unserved(event) => {
                    self.held.remove(id.key());
                    self.health.unserved.ended(false, now());
                    return;
                }
                _ => self.log_held(id),
            }
        } else if is_unserved(event) {
            self.health.unserved.ended(true, now());
        }
        if let Some(io) = self.clients.get(id.key()) {
            telemetry::report(io.number, &io.peer, io.certificate.as_deref(), event);
        }
    }

    /// Has the log say what was held back of sessions that have lasted, and how many have not.
    pub(super) fn log_lasting(&mut self, now: Instant) {
        let lasting = |held: &Held| now.saturating_duration_since(held.since) >= BRIEF;
        let held = self.held.iter().filter(|(_, held)| lasting(held));
        for key in held.map(|(key, _)| key).collect::<Vec<_>>() {
            self.log_held(SessionId::from_key(key));
        }
        self.health.unserved.say_now_and_then(now);
    }

    fn log_held(&mut self, id: SessionId) {
        let (held, io) = (self.held.remove(id.key()), self.clients.get(id.key()));
        let (Some(held), Some(io)) = (held, io) else { return };
        telemetry::opened(io.number, &io.peer, io.certificate.as_deref());
        if let Some(user) = held.user {
            let event = Event::Authenticated { user };
            telemetry::report(io.number, &io.peer, io.certificate.as_deref(), &event);
        }
    }
}

fn is_unserved(event: &Event) -> bool {
    matches!(event, Event::Closed { reason: CloseReason::UpstreamUnavailable, lasted, .. }
        if *lasted < BRIEF)
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
