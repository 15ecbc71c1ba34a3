//! What a worker reports of its sessions: to the log, the audit log, the metrics and `/stats`.
//!
//! Owns: what logs call each session, and what is counted. Leaves to [`redoubt_core::router`]: what
//! happens to a session, and which user it is.

mod session_log;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use redoubt_core::auth::is_in;
use redoubt_core::policy::RuleName;
use redoubt_core::router::{Router, SessionEvent, SessionId, Stalled};
use redoubt_core::session::Event;
use slotmap::{DefaultKey, SecondaryMap};
use tracing::warn;

use self::session_log::SessionLog;
pub(crate) use self::totals::Totals;
use crate::audit;
use crate::health::Health;
use crate::net::now;
use crate::net::peer::Peer;
use crate::telemetry::metrics::{self, WorkerMetrics};

/// What logs call a session, and what they have said of it.
#[derive(Clone)]
pub(crate) struct SessionRecord {
    pub(crate) number: u64,
    pub(crate) peer: Peer,
    /// The kind of listener that the client came to.
    pub(crate) listener: &'static str,
    /// The name that the client's certificate is for, if it has shown one.
    pub(crate) certificate: Option<Arc<str>>,
    /// Refused commands.
    pub(crate) refused: u64,
    /// The rule that refused the last of them.
    pub(crate) last_rule: Option<RuleName>,
}

impl SessionRecord {
    pub(super) fn new(
        number: u64,
        peer: Peer,
        listener: &'static str,
        certificate: Option<Arc<str>>,
    ) -> Self {
        Self { number, peer, listener, certificate, refused: 0, last_rule: None }
    }
}

/// The reports of one worker.
pub(super) struct Reports {
    records: SecondaryMap<DefaultKey, SessionRecord>,
    log: SessionLog,
    metrics: WorkerMetrics,
    totals: Totals,
}

impl Reports {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self {
            records: SecondaryMap::new(),
            log: SessionLog::new(health),
            metrics: WorkerMetrics::default(),
            totals: Totals::default(),
        }
    }

    /// Returns what logs call a session.
    pub(super) fn record(&self, id: SessionId) -> Option<&SessionRecord> {
        self.records.get(id.key())
    }

    /// Returns what has been counted, without what present sessions have done.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Reports that a session has begun.
    pub(super) fn opened(&mut self, id: SessionId, record: SessionRecord) {
        metrics::session_opened();
        if audit::is_on() {
            audit::record(audit::Event::SessionOpened {
                session: record.number,
                peer: record.peer.to_string(),
                certificate: record.certificate.as_deref().map(str::to_owned),
            });
        }
        self.log.opened(id, &record);
        self.records.insert(id.key(), record);
    }

    /// Forgets a session, after all that has happened to it was reported.
    pub(super) fn forget(&mut self, id: SessionId) {
        self.records.remove(id.key());
    }

    /// Reports what has happened to sessions. Returns false if that is nothing.
    pub(super) fn take(&mut self, router: &mut Router) -> bool {
        let mut is_new = false;
        while let Some(happened) = router.next_event() {
            is_new = true;
            self.report(&happened);
        }
        is_new
    }

    fn report(&mut self, happened: &SessionEvent) {
        let SessionEvent { session: id, user, event } = happened;
        metrics::report(event);
        self.totals.count(event);
        self.log.report(*id, event, &self.records);
        let Some(record) = self.records.get_mut(id.key()) else { return };
        if let Event::Refused { rule, .. } = event {
            record.refused = record.refused.saturating_add(1);
            record.last_rule = Some(rule.clone());
        }
        let session = audit::Session {
            number: record.number,
            peer: &record.peer,
            certificate: record.certificate.as_deref(),
            user: user.as_deref(),
            refused: record.refused,
        };
        audit::report(&session, event);
    }

    /// Reports a shared link that was closed since it owed a reply for `timeout`.
    pub(super) fn stalled(&self, stalled: &Stalled, timeout: Duration) {
        let record = stalled.first.and_then(|id| self.record(id));
        let session = record.map(|record| record.number);
        let sessions = stalled.sessions;
        warn!(
            session,
            sessions,
            timeout = ?timeout,
            "a shared link owed a reply while Redis answered on another: closed it with the \
             sessions that had replies due on it; what that session sent last blocks a connection"
        );
        metrics::link_stalled();
        let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
        audit::record(audit::Event::LinkStalled { session, sessions });
    }

    /// Brings metrics and log up to date. To be called a few times a second.
    pub(super) fn tick(&mut self, router: &mut Router) {
        self.metrics.flush(router);
        self.log.say_lasting(now(), &self.records);
    }

    /// Returns the sessions from networks that are not in `allow`.
    pub(super) fn sessions_outside(&self, allow: &[IpNet]) -> Vec<SessionId> {
        let is_outside =
            |record: &SessionRecord| record.peer.ip().is_some_and(|ip| !is_in(allow, ip));
        let outside = self.records.iter().filter(|(_, record)| is_outside(record));
        outside.map(|(key, _)| SessionId::from_key(key)).collect()
    }
}
