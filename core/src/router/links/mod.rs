//! The worker's links: shared ones by what they are for, leases, and a pool of clean ones.

mod age;
mod budget;
mod memory;
mod not_now;
mod owing;
mod places;
mod pool;
mod proof;
mod rotate;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use slotmap::{DefaultKey, SlotMap};

use super::key::{Lane, LinkKey};
use super::replies::demultiplexer::Reader;
use super::replies::fence::Tokens;
use super::replies::shared::Shared;
use super::report::gauges::{Gauges, add};
use super::{LinkId, SessionId};
use crate::upstream::{Credentials, Link, Phase};
pub use budget::LinkBudget;
use budget::Place;
pub(super) use budget::Want;
use not_now::NotNow;

pub(super) use proof::{Proof, Proved};

/// A link and who uses it.
pub(super) struct Held {
    /// What it is for; of a lease, the state in which it was last in the pool, or opened.
    pub(super) key: LinkKey,
    pub(super) link: Link,
    pub(super) usage: Usage,
    /// How far its replies have been read.
    pub(super) reader: Reader,
    /// When it was made, and its socket soon after.
    pub(super) opened: Instant,
    /// When it was last of use.
    pub(super) used: Instant,
    /// Whether nothing more is to be sent over it than what has been added.
    finishes: bool,
    touched: bool,
    /// Since when it has owed a reply without a byte from Redis, as far as ticks have noted.
    owing: Option<Instant>,
    /// Its place in the budget; `None` once another link has taken it over.
    place: Option<Place>,
}

/// Who uses a link.
pub(super) enum Usage {
    /// Many sessions.
    Shared(Shared),
    /// One session.
    Lease(SessionId),
    /// Nobody: its session has given it back, and it is not proved yet that all its replies have come.
    Returned(Proof),
    /// Nobody: it is clean, and as its key says.
    Idle,
    /// Nobody: it is closed, and is forgotten once its socket is.
    Closed,
}

/// All links of a worker.
pub(super) struct Links {
    credentials: Credentials,
    /// Shared by all workers.
    budget: LinkBudget,
    /// A place that is kept for the link that is opened next.
    reserved: Option<Place>,
    /// Sessions whose link was closed, as others needed its place.
    displaced: Vec<SessionId>,
    all: SlotMap<DefaultKey, Held>,
    shared: HashMap<LinkKey, LinkId>,
    /// Clean leases, the last used at the end.
    pool: Vec<LinkId>,
    leases: usize,
    /// Number of leases that were given back and are not proved to be clean yet.
    returned: usize,
    tokens: Tokens,
    /// Whether the server lets this user run `ECHO`, as far as is known.
    echoes: bool,
    to_open: VecDeque<LinkId>,
    not_now: NotNow,
    /// How old links may become; zero for any age.
    max_age: Duration,
    /// Links that were opened before this, or then, are not to be used for longer than they must.
    outdated: Option<Instant>,
    /// Links with something new to write, or closed.
    touched: VecDeque<LinkId>,
    /// The link that a request is being added to, while its reply is not yet expected.
    unsettled: Option<LinkId>,
}

impl Links {
    /// How long a link may be of no use before it is closed.
    const MAX_UNUSED: Duration = Duration::from_secs(60);

    pub(super) fn new(credentials: Credentials, key: [u8; 32]) -> Self {
        Self {
            credentials,
            budget: LinkBudget::default(),
            reserved: None,
            displaced: Vec::new(),
            all: SlotMap::new(),
            shared: HashMap::new(),
            pool: Vec::new(),
            leases: 0,
            returned: 0,
            tokens: Tokens::new(key),
            echoes: true,
            to_open: VecDeque::new(),
            not_now: NotNow::default(),
            max_age: Duration::ZERO,
            outdated: None,
            touched: VecDeque::new(),
            unsettled: None,
        }
    }

    pub(super) fn replace_credentials(&mut self, credentials: Credentials) {
        self.credentials = credentials;
        self.echoes = true;
    }

    /// The link's socket is connected: it logs in with the credentials that are in force now.
    pub(super) fn connected(&mut self, id: LinkId) {
        if let Some(held) = self.all.get_mut(id.0) {
            held.link.connected(&self.credentials);
        }
    }

    /// Links that are of use for scripts, or on which some may wait.
    pub(super) fn with_scripts(&self) -> Vec<LinkId> {
        let may_hold_scripts = |held: &Held| match &held.usage {
            Usage::Shared(_) => held.key.lane == Lane::Scripts,
            Usage::Lease(_) | Usage::Returned(_) | Usage::Idle => true,
            Usage::Closed => false,
        };
        let in_use = |held: &Held| held.link.phase() == Phase::Ready || held.link.has_waiting();
        let found = self.all.iter().filter(|(_, held)| in_use(held) && may_hold_scripts(held));
        found.map(|(key, _)| LinkId(key)).collect()
    }

    /// Returns how many are lent.
    pub(super) fn lease_count(&self) -> usize {
        self.leases
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Counts them by kind, with what waits on them.
    pub(super) fn add_to(&self, levels: &mut Gauges) {
        for held in self.all.values() {
            add(&mut levels.upstream_output, held.link.output().len());
            let kinds = &mut levels.links;
            match (held.link.phase(), &held.usage) {
                (Phase::Closed, _) | (_, Usage::Closed) => {}
                (Phase::Connecting | Phase::LoggingIn, _) => add(&mut kinds.opening, 1),
                (Phase::Ready, Usage::Shared(_)) => add(&mut kinds.shared, 1),
                (Phase::Ready, Usage::Lease(_)) => add(&mut kinds.leased, 1),
                (Phase::Ready, Usage::Returned(_) | Usage::Idle) => add(&mut kinds.pooled, 1),
            }
        }
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Held> {
        self.all.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Held> {
        self.all.get_mut(id.0)
    }

    /// Returns what a link is for.
    pub(super) fn key(&self, id: LinkId) -> Option<LinkKey> {
        self.all.get(id.0).map(|held| held.key)
    }

    /// The link that sessions share for `key`, if there is one.
    pub(super) fn shared(&self, key: LinkKey) -> Option<LinkId> {
        self.shared.get(&key).copied()
    }

    /// The same; a new one if there is none. `None` where no more links can be opened.
    pub(super) fn share(&mut self, key: LinkKey, now: Instant) -> Option<LinkId> {
        if let Some(id) = self.shared(key) {
            return Some(id);
        }
        let place = self.place(Want::Shared)?;
        let id = self.open(key, Usage::Shared(Shared::new(key.lane)), place, now);
        self.shared.insert(key, id);
        Some(id)
    }

    /// Takes no more sessions on a shared link; it is closed when all replies have come.
    pub(super) fn retire(&mut self, id: LinkId) {
        if let Some(Held { usage: Usage::Shared(shared), .. }) = self.all.get_mut(id.0) {
            shared.retire();
            self.shared.retain(|_, current| *current != id);
        }
    }

    /// Returns where requests of `session` for the link are added. Each has to be followed by
    /// [`Links::settle`] when it is known what its reply is for.
    pub(super) fn requests(&mut self, id: LinkId, session: SessionId) -> Option<&mut BytesMut> {
        self.requests_of(id, session, false)
    }

    /// A session that has used a shared link sends nothing more. If replies to it may be missing, a barrier tells.
    pub(super) fn leave(&mut self, id: LinkId, session: SessionId) {
        if let Some(Held { key, link, usage: Usage::Shared(shared), touched, .. }) =
            self.all.get_mut(id.0)
            && shared.is_left_open_by(session)
        {
            note(touched, &mut self.touched, id);
            shared.bar(key.protocol, link.requests(), &mut self.tokens, self.echoes);
        }
    }

    /// Sends a barrier over a shared link if one is wanted whoever sends next.
    pub(super) fn bar(&mut self, id: LinkId) {
        if let Some(Held { key, link, usage: Usage::Shared(shared), touched, .. }) =
            self.all.get_mut(id.0)
            && shared.wants_barrier()
        {
            note(touched, &mut self.touched, id);
            self.echoes &= !shared.may_not_echo();
            shared.bar(key.protocol, link.requests(), &mut self.tokens, self.echoes);
        }
    }

    /// As [`Links::requests`], for one whole request; with `expects`, its reply is expected on a shared
    /// link from here on.
    #[inline]
    pub(super) fn requests_of(
        &mut self,
        id: LinkId,
        session: SessionId,
        expects: bool,
    ) -> Option<&mut BytesMut> {
        let Held { key, link, usage, touched, .. } = self.all.get_mut(id.0)?;
        note(touched, &mut self.touched, id);
        self.unsettled = Some(id);
        if let Usage::Shared(shared) = usage {
            shared.enter(session, key.protocol, link.requests(), &mut self.tokens, self.echoes);
            if expects {
                shared.queue.push(session);
            }
        }
        Some(link.requests())
    }

    /// Returns whether `id` is a shared link for `wanted`, and has room.
    #[inline]
    pub(super) fn takes(&self, id: LinkId, wanted: LinkKey) -> bool {
        match self.all.get(id.0) {
            Some(Held { key, link, usage: Usage::Shared(shared), .. }) => {
                *key == wanted && !shared.is_retired() && !shared.is_full() && !link.is_full()
            }
            _ => false,
        }
    }

    /// The request that was added is whole, and its reply is expected.
    pub(super) fn settle(&mut self) {
        self.unsettled = None;
    }

    /// The link on which a request may have been added in part, or without an expectation.
    pub(super) fn take_unsettled(&mut self) -> Option<LinkId> {
        self.unsettled.take()
    }

    /// Returns whether a session that has used `id` last can send a request for `wanted` over it; `owed`
    /// tells whether replies from there are due to it.
    pub(super) fn serves(&self, id: LinkId, wanted: LinkKey, owed: bool) -> bool {
        let Some(Held { key, usage: Usage::Shared(shared), .. }) = self.all.get(id.0) else {
            return false;
        };
        // The other lanes take what their sessions pipeline behind such a request, and nothing else:
        // a script that overruns must not hide from other requests that Redis is busy. So scripts go
        // over their own alone.
        let takes = match (key.lane, wanted.lane) {
            (lane, wanted) if lane == wanted => true,
            (Lane::Scripts, _) | (Lane::Fenced, Lane::Plain) => owed,
            _ => false,
        };
        !shared.is_retired() && takes && LinkKey { lane: wanted.lane, ..*key } == wanted
    }

    /// Returns whether `id` takes no more sessions, so that one that replies are due to on it may go on
    /// sending requests for `wanted` over it, and delay nobody.
    pub(super) fn is_left_to(&self, id: LinkId, wanted: LinkKey) -> bool {
        match self.all.get(id.0) {
            Some(Held { key, usage: Usage::Shared(shared), .. }) => {
                shared.is_retired() && *key == wanted
            }
            _ => false,
        }
    }

    /// Returns whether more requests should wait.
    pub(super) fn is_full(&self, id: LinkId) -> bool {
        self.all.get(id.0).is_some_and(|held| match &held.usage {
            Usage::Shared(shared) => held.link.is_full() || shared.is_full(),
            _ => held.link.is_full(),
        })
    }

    /// Closes a link. Nothing may be due on it, or the sessions it is due to must have been told.
    pub(super) fn close(&mut self, id: LinkId) {
        let Some(held) = self.all.get_mut(id.0) else { return };
        held.link.close();
        // A second call finds it closed and counts nothing twice.
        match std::mem::replace(&mut held.usage, Usage::Closed) {
            Usage::Lease(_) => self.leases = self.leases.saturating_sub(1),
            Usage::Returned(_) => self.returned = self.returned.saturating_sub(1),
            Usage::Shared(_) => self.shared.retain(|_, current| *current != id),
            Usage::Idle => self.pool.retain(|current| *current != id),
            Usage::Closed => {}
        }
        if let Some(place) = &mut held.place {
            place.closing();
        }
        self.touch(id);
    }

    /// The link's socket is closed.
    pub(super) fn forget(&mut self, id: LinkId) {
        self.close(id);
        self.all.remove(id.0);
    }

    /// Closes what has long been of no use.
    pub(super) fn tick(&mut self, now: Instant) {
        self.try_again(now);
        let unused: Vec<_> = self
            .all
            .iter()
            .filter(|(_, held)| now.saturating_duration_since(held.used) >= Self::MAX_UNUSED)
            .filter(|(_, held)| match &held.usage {
                Usage::Shared(shared) => shared.is_empty(),
                Usage::Returned(_) | Usage::Idle => true,
                Usage::Lease(_) | Usage::Closed => false,
            })
            .map(|(key, _)| LinkId(key))
            .collect();
        for id in unused {
            self.close(id);
        }
        self.give_up_places();
        // A retired link that was not read for a slow reader's sake is read again when that time is over.
        let retired: Vec<_> = self
            .all
            .iter()
            .filter(|(_, held)| matches!(&held.usage, Usage::Shared(shared) if shared.is_retired()))
            .map(|(key, _)| LinkId(key))
            .collect();
        for id in retired {
            self.touch(id);
        }
    }

    /// Has nothing more be sent over a link, and Redis be told so.
    pub(super) fn finish(&mut self, id: LinkId) {
        if let Some(held) = self.all.get_mut(id.0)
            && !std::mem::replace(&mut held.finishes, true)
        {
            self.touch(id);
        }
    }

    /// Returns whether all has been sent over a link, and Redis is to be told so.
    pub(super) fn finishes(&self, id: LinkId) -> bool {
        self.all.get(id.0).is_some_and(|held| held.finishes && held.link.is_quiet())
    }

    /// Has the link's driver look at it again.
    pub(super) fn touch(&mut self, id: LinkId) {
        if let Some(held) = self.all.get_mut(id.0) {
            note(&mut held.touched, &mut self.touched, id);
        }
    }

    pub(super) fn next_touched(&mut self) -> Option<LinkId> {
        let id = self.touched.pop_front()?;
        if let Some(held) = self.all.get_mut(id.0) {
            held.touched = false;
        }
        Some(id)
    }

    pub(super) fn next_to_open(&mut self) -> Option<LinkId> {
        self.to_open.pop_front()
    }

    fn open(&mut self, key: LinkKey, usage: Usage, place: Place, now: Instant) -> LinkId {
        let id = LinkId(self.all.insert(Held {
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
        }));
        let waits = self.all.get(id.0).is_some_and(|held| self.not_now.holds(&held.link, id));
        if !waits {
            self.to_open.push_back(id);
        }
        id
    }
}

/// Has `id` in the list of touched links once.
#[inline]
fn note(is_touched: &mut bool, list: &mut VecDeque<LinkId>, id: LinkId) {
    if !std::mem::replace(is_touched, true) {
        list.push_back(id);
    }
}
