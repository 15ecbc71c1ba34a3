//! One link of the worker, what it is for and who uses it.

use std::time::{Duration, Instant};

use super::budget::Place;
use super::proof::Proof;
use crate::router::SessionId;
use crate::router::key::{Lane, LinkKey};
use crate::router::replies::demultiplexer::Reader;
use crate::router::replies::shared::Shared;
use crate::router::report::gauges::{Gauges, add};
use crate::session::LeasePlace;
use crate::upstream::{Link, Phase};

/// A link and who uses it.
pub(in crate::router) struct Held {
    /// What the link is for; of a lease, the state in which it was last in the pool, or opened.
    pub(in crate::router) key: LinkKey,
    pub(in crate::router) link: Link,
    pub(in crate::router) usage: Usage,
    /// How far the replies have been read.
    pub(in crate::router) reader: Reader,
    /// When the link was made; its socket is opened soon after.
    pub(in crate::router) opened: Instant,
    /// When bytes last arrived, or the lease was last returned.
    pub(in crate::router) used: Instant,
    /// True if nothing is sent over the link behind the requests that have been added.
    pub(super) finishes: bool,
    /// True if the link is in the list of touched links.
    pub(super) touched: bool,
    /// Since when a reply has been pending without a byte from Redis, as far as ticks have noted.
    owing: Option<Instant>,
    /// The link's place in the budget; `None` once another link has taken it over.
    pub(super) place: Option<Place>,
    /// The lease's place in the count of its identity's leases, while it is lent.
    pub(super) lease: Option<LeasePlace>,
}

/// Who uses a link.
pub(in crate::router) enum Usage {
    /// Many sessions.
    Shared(Shared),
    /// One session.
    Lease(SessionId),
    /// Nobody: the session has returned the lease, and it is not proved yet that all replies have come.
    Returned(Proof),
    /// Nobody: the lease is in the pool, in the state that its key says.
    Idle,
    /// Nobody: the link is closed, and is removed once its socket is closed.
    Closed,
}

impl Held {
    /// How long a link may be unused before it is closed.
    const MAX_UNUSED: Duration = Duration::from_secs(60);

    pub(super) fn new(key: LinkKey, usage: Usage, place: Place, now: Instant) -> Self {
        Self {
            key,
            link: Link::new(key.protocol, key.database),
            usage,
            reader: Reader::default(),
            opened: now,
            used: now,
            finishes: false,
            touched: false,
            owing: None,
            place: Some(place),
            lease: None,
        }
    }

    /// Returns the part of a link that many sessions use.
    pub(in crate::router) fn shared(&self) -> Option<&Shared> {
        match &self.usage {
            Usage::Shared(shared) => Some(shared),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(in crate::router) fn shared_mut(&mut self) -> Option<&mut Shared> {
        match &mut self.usage {
            Usage::Shared(shared) => Some(shared),
            _ => None,
        }
    }

    /// Returns whether the link is shared and takes no more sessions.
    pub(super) fn is_retired(&self) -> bool {
        self.shared().is_some_and(Shared::is_retired)
    }

    /// Returns whether a session that has used this link last can send a request for `wanted` over it;
    /// `has_pending` is true if the session waits for replies from here.
    pub(super) fn serves(&self, wanted: LinkKey, has_pending: bool) -> bool {
        let Usage::Shared(shared) = &self.usage else { return false };
        // The fenced lanes take what their sessions pipeline behind a fenced request, and nothing else:
        // a script that overruns must not hide from other requests that Redis is busy. So scripts go
        // over their own lane alone.
        let takes = match (self.key.lane, wanted.lane) {
            (lane, wanted) if lane == wanted => true,
            (Lane::Scripts, _) | (Lane::Fenced, Lane::Plain) => has_pending,
            _ => false,
        };
        !shared.is_retired() && takes && LinkKey { lane: wanted.lane, ..self.key } == wanted
    }

    /// Returns whether the link takes no more sessions, so that a session with pending replies on it may
    /// continue to send requests for `wanted` over it, and delays no other session.
    pub(super) fn serves_last_session(&self, wanted: LinkKey) -> bool {
        self.is_retired() && self.key == wanted
    }

    /// Returns whether more requests should wait.
    pub(super) fn is_full(&self) -> bool {
        match &self.usage {
            Usage::Shared(shared) => self.link.is_full() || shared.is_full(),
            _ => self.link.is_full(),
        }
    }

    /// Returns whether scripts may run, or wait, on the link.
    pub(super) fn may_hold_scripts(&self) -> bool {
        let may_hold = match &self.usage {
            Usage::Shared(_) => self.key.lane == Lane::Scripts,
            Usage::Lease(_) | Usage::Returned(_) | Usage::Idle => true,
            Usage::Closed => false,
        };
        may_hold && (self.link.phase() == Phase::Ready || self.link.has_waiting())
    }

    /// Returns whether no session has used the link for [`Held::MAX_UNUSED`]. The link for scripts stays while
    /// `scripts_used`: its loss shows that the server may have lost them.
    pub(super) fn is_long_unused(&self, scripts_used: bool, now: Instant) -> bool {
        let is_unused = match &self.usage {
            Usage::Shared(_) if scripts_used && self.key.lane == Lane::Scripts => false,
            Usage::Shared(shared) => shared.is_empty(),
            Usage::Returned(_) | Usage::Idle => true,
            Usage::Lease(_) | Usage::Closed => false,
        };
        is_unused && now.saturating_duration_since(self.used) >= Self::MAX_UNUSED
    }

    /// Notes whether Redis owes a reply now that is waited for.
    pub(super) fn note_owing(&mut self, is_owing: bool, now: Instant) {
        self.owing = match self.owing {
            _ if !is_owing => None,
            None => Some(now),
            // A byte may have arrived since.
            Some(since) => Some(since.max(self.used)),
        };
    }

    /// Returns whether the link is shared and Redis has owed a reply on it for `timeout`.
    pub(super) fn has_owed_for(&self, timeout: Duration, now: Instant) -> bool {
        let is_overdue = |since: Instant| now.saturating_duration_since(since) >= timeout;
        self.shared().is_some() && self.owing.is_some_and(is_overdue)
    }

    /// Returns the bytes that the link has in buffers and queues.
    pub(super) fn memory(&self) -> usize {
        let queue = self.shared().map_or(0, |shared| shared.queue.memory());
        self.link.memory().saturating_add(queue)
    }

    /// Frees memory that the link does not need now; if `hard`, also what it keeps for later.
    pub(super) fn compact(&mut self, hard: bool) {
        self.link.compact(hard);
        if let Some(shared) = self.shared_mut() {
            shared.queue.compact();
        }
    }

    /// Adds the link to the gauges of its kind, and the bytes that wait for Redis.
    pub(super) fn add_to(&self, gauges: &mut Gauges) {
        add(&mut gauges.upstream_output, self.link.output().len());
        let kinds = &mut gauges.links;
        match (self.link.phase(), &self.usage) {
            (Phase::Closed, _) | (_, Usage::Closed) => {}
            (Phase::Connecting | Phase::LoggingIn, _) => add(&mut kinds.opening, 1),
            (Phase::Ready, Usage::Shared(_)) => add(&mut kinds.shared, 1),
            (Phase::Ready, Usage::Lease(_)) => add(&mut kinds.leased, 1),
            (Phase::Ready, Usage::Returned(_) | Usage::Idle) => add(&mut kinds.pooled, 1),
        }
    }
}
