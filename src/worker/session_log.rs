//! The log of sessions that end at once because the upstream is unavailable.
//!
//! While clients try again and again there may be thousands of them a second, each worth three
//! lines. So after the first one, what the log would say of a new session is held back until it has
//! lasted, and those that do not are counted. The audit log and the metrics have each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Event};

use super::Worker;
use crate::net::now;
use crate::telemetry;

/// Sessions that lasted less are counted; lines are held back for so long.
const BRIEF: Duration = Duration::from_secs(1);
/// What the log has not said of a session.
pub(crate) struct Held {
    since: Instant,
    /// The user of its first right `AUTH`, which the log has not told.
    user: Option<Arc<str>>,
}

impl Worker {
    /// Has the log say that a session has opened, now or later.
    pub(crate) fn log_opened(&mut self, id: SessionId) {
        let now = now();
        if self.health.unserved.expects_more(now) {
            self.held.insert(id.key(), Held { since: now, user: None });
        } else if let Some(io) = self.clients.get(id.key()) {
            telemetry::opened(io.number, &io.peer, io.certificate.as_deref());
        }
    }

    /// Has the log say what happened to a session, now or later.
    pub(crate) fn log(&mut self, id: SessionId, event: &Event) {
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
    pub(crate) fn log_lasting(&mut self, now: Instant) {
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
