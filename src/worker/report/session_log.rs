//! The log of sessions that end at once because the upstream is unavailable.
//!
//! While clients try again and again there may be thousands of such sessions a second, each worth three
//! lines. So after the first one, the lines on a new session are held back until it has lasted for
//! [`BRIEF`], and sessions that do not last so long are counted. The audit log and the metrics have each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::auth::LoginMethod;
use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Event};
use slotmap::{DefaultKey, SecondaryMap, SparseSecondaryMap};

use super::SessionRecord;
use crate::health::Health;
use crate::net::now;
use crate::telemetry;

/// Sessions that lasted less are counted. It is longer than a session waits for the upstream after the right
/// password. While the upstream is down, lines are held back for so long.
const BRIEF: Duration = Duration::from_secs(8);

/// How long lines are held back otherwise.
const MOMENT: Duration = Duration::from_secs(1);

/// What the log has not said of a session.
struct Held {
    since: Instant,
    /// The user of its first right `AUTH`, or of its certificate.
    user: Option<(Arc<str>, LoginMethod)>,
}

/// The log lines of a worker's sessions.
pub(super) struct SessionLog {
    /// Sessions of which the log has said nothing yet.
    held: SparseSecondaryMap<DefaultKey, Held>,
    health: Arc<Health>,
}

type Records = SecondaryMap<DefaultKey, SessionRecord>;

impl SessionLog {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { held: SparseSecondaryMap::new(), health }
    }

    /// Logs, now or later, that a session has opened.
    pub(super) fn opened(&mut self, id: SessionId, record: &SessionRecord) {
        let now = now();
        if self.health.unserved.expects_more(now) {
            self.held.insert(id.key(), Held { since: now, user: None });
        } else {
            log_opened(record);
        }
    }

    /// Logs, now or later, what has happened to a session.
    pub(super) fn report(&mut self, id: SessionId, event: &Event, records: &Records) {
        if let Some(held) = self.held.get_mut(id.key()) {
            match event {
                Event::Authenticated { user, method } if held.user.is_none() => {
                    held.user = Some((Arc::clone(user), *method));
                    return;
                }
                _ if is_unserved(event) => {
                    self.held.remove(id.key());
                    self.health.unserved.ended(false, now());
                    return;
                }
                _ => self.say_held(id, records),
            }
        } else if is_unserved(event) {
            self.health.unserved.ended(true, now());
        }
        if let Some(record) = records.get(id.key()) {
            log(record, event);
        }
    }

    /// Logs what was held back of sessions that have lasted, and how many have not.
    pub(super) fn say_lasting(&mut self, now: Instant, records: &Records) {
        let most = if self.health.is_down() { BRIEF } else { MOMENT };
        let lasting = |held: &Held| now.saturating_duration_since(held.since) >= most;
        let held = self.held.iter().filter(|(_, held)| lasting(held));
        for key in held.map(|(key, _)| key).collect::<Vec<_>>() {
            self.say_held(SessionId::from_key(key), records);
        }
        self.health.unserved.say_now_and_then(now);
    }

    fn say_held(&mut self, id: SessionId, records: &Records) {
        let (held, record) = (self.held.remove(id.key()), records.get(id.key()));
        let (Some(held), Some(record)) = (held, record) else { return };
        log_opened(record);
        if let Some((user, method)) = held.user {
            log(record, &Event::Authenticated { user, method });
        }
    }
}

fn log_opened(record: &SessionRecord) {
    telemetry::opened(record.number, &record.peer, record.certificate.as_deref());
}

fn log(record: &SessionRecord, event: &Event) {
    telemetry::report(record.number, &record.peer, record.certificate.as_deref(), event);
}

fn is_unserved(event: &Event) -> bool {
    matches!(event, Event::Closed { reason: CloseReason::UpstreamUnavailable, lasted, .. }
        if *lasted < BRIEF)
}
