//! What a worker reports of its sessions: to the log, the audit log, the metrics and `/stats`.
//!
//! Owns: what logs call each session, and what is counted. Leaves to [`redoubt_core::router`]: what
//! happens to a session, and which user it is.

pub(crate) mod refused;
mod session_log;
mod totals;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use redoubt_core::auth::is_in;
use redoubt_core::policy::RuleName;
use redoubt_core::router::{Router, SessionEvent, SessionId, Stalled};
use redoubt_core::session::{Event, Refusal};
use slotmap::{DefaultKey, SecondaryMap, SparseSecondaryMap};
use tracing::warn;

use self::refused::{Group, RefusedCommands};
use self::session_log::SessionLog;
pub(crate) use self::totals::Totals;
use crate::audit;
use crate::health::Health;
use crate::net::now;
use crate::net::peer::Peer;
use crate::telemetry::metrics::{self, WorkerMetrics};

/// Pairs of identity and rule that each worker counts in the metric of refusals. Further rules are counted together
/// for each identity.
const MOST_PAIRS: usize = 1000;
/// The value of the label for rules beyond [`MOST_PAIRS`].
const OTHER_RULES: &str = "other";

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
    /// The last of them.
    pub(crate) last_refusal: Option<Refusal>,
}

impl SessionRecord {
    pub(super) fn new(
        number: u64,
        peer: Peer,
        listener: &'static str,
        certificate: Option<Arc<str>>,
    ) -> Self {
        Self { number, peer, listener, certificate, refused: 0, last_refusal: None }
    }
}

/// Refused commands of a session that the logs have told of, and the user to whom each was refused.
type Told = HashSet<(Option<Arc<str>>, RuleName)>;

/// The reports of one worker.
pub(super) struct Reports {
    records: SecondaryMap<DefaultKey, SessionRecord>,
    /// For each session no more than there are commands in the table, the server's own list and the configuration.
    told: SparseSecondaryMap<DefaultKey, Told>,
    log: SessionLog,
    metrics: WorkerMetrics,
    totals: Totals,
    refused: RefusedCommands,
    /// The identities and rules that the metric of refusals has series for.
    refused_to: HashSet<(Arc<str>, RuleName)>,
}

impl Reports {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self {
            records: SecondaryMap::new(),
            told: SparseSecondaryMap::new(),
            log: SessionLog::new(health),
            metrics: WorkerMetrics::default(),
            totals: Totals::default(),
            refused: RefusedCommands::default(),
            refused_to: HashSet::new(),
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

    /// Returns the commands that the policy has refused.
    pub(super) fn refused(&self) -> &RefusedCommands {
        &self.refused
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
        self.told.remove(id.key());
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
        self.count_refused_to(user.as_ref(), event);
        let is_told = self.count_refusal(*id, user.as_ref(), event);
        if !is_told {
            self.log.report(*id, event, &self.records);
        }
        let Some(record) = self.records.get(id.key()) else { return };
        // Keys that the operator has asked for may be other ones each time.
        if is_told && !matches!(event, Event::Refused { refused, .. } if !refused.keys.is_empty()) {
            return;
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

    /// Counts a refusal by identity and rule, for the metric.
    fn count_refused_to(&mut self, user: Option<&Arc<str>>, event: &Event) {
        let (Event::Refused { refused, .. }, Some(user)) = (event, user) else { return };
        self.totals.count_refused_to(user, 1);
        let rule = &refused.refusal.rule;
        let pair = (Arc::clone(user), rule.clone());
        if self.refused_to.contains(&pair) {
            metrics::refused_to(user, rule.to_string());
        } else if self.refused_to.len() < MOST_PAIRS {
            self.refused_to.insert(pair);
            metrics::refused_to(user, rule.to_string());
        } else {
            metrics::refused_to(user, OTHER_RULES.to_owned());
        }
    }

    /// Counts the event if it is a refusal. Returns true if the logs have told of such a refusal in this session.
    fn count_refusal(&mut self, id: SessionId, user: Option<&Arc<str>>, event: &Event) -> bool {
        let Event::Refused { refused, program } = event else { return false };
        let Some(record) = self.records.get_mut(id.key()) else { return false };
        let refusal = &refused.refusal;
        record.refused = record.refused.saturating_add(1);
        record.last_refusal = Some(refusal.clone());
        let group =
            Group { user: user.cloned(), program: program.clone(), refusal: refusal.clone() };
        self.refused.add(group, record, now());
        let Some(told) = self.told.entry(id.key()) else { return false };
        !told.or_default().insert((user.cloned(), refusal.command.clone()))
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
