//! The worker's links: shared ones by their keys, leases, and a pool of clean leases.
//!
//! [`Links`] owns the links and composes the parts that keep one thing each: the shared links that take
//! sessions ([`Lanes`]), clean leases ([`Pool`]), places in the budget ([`Places`]), links that are not
//! connected yet ([`Opening`]), bounds on age ([`AgeLimit`]) and barriers ([`Barriers`]). What needs
//! several of them is here, in `leases` and in `ending`.

mod age;
mod budget;
mod ending;
mod held;
mod lanes;
mod leases;
mod opening;
mod places;
mod pool;
mod proof;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use slotmap::{DefaultKey, SlotMap};

use super::key::LinkKey;
use super::replies::fence::Barriers;
use super::replies::shared::Shared;
use super::report::gauges::Gauges;
use super::{LinkId, SessionId};
use crate::auth::IdentityId;
use crate::upstream::{LinkCredentials, Phase};
use age::AgeLimit;
pub use budget::LinkBudget;
use budget::Place;
pub(super) use budget::Want;
pub(super) use held::{Held, Usage};
use lanes::Lanes;
use opening::Opening;
use places::Places;
use pool::Pool;
pub(super) use proof::Proved;

/// All links of a worker.
pub(super) struct Links {
    credentials: LinkCredentials,
    all: SlotMap<DefaultKey, Held>,
    lanes: Lanes,
    pool: Pool,
    places: Places,
    opening: Opening,
    age_limit: AgeLimit,
    barriers: Barriers,
    /// Links with something new to write, or closed.
    touched: VecDeque<LinkId>,
    /// The link that a request is being added to, while its reply is not yet expected.
    incomplete: Option<LinkId>,
    /// True if the server may be unreachable, unless a link is logged in: a link was lost or could not be opened.
    in_doubt: bool,
    /// True if links must not go to a replica.
    primary_only: bool,
}

impl Links {
    pub(super) fn new(credentials: LinkCredentials, key: [u8; 32]) -> Self {
        Self {
            credentials,
            all: SlotMap::new(),
            lanes: Lanes::default(),
            pool: Pool::default(),
            places: Places::default(),
            opening: Opening::default(),
            age_limit: AgeLimit::default(),
            barriers: Barriers::new(key),
            touched: VecDeque::new(),
            incomplete: None,
            in_doubt: false,
            primary_only: false,
        }
    }

    /// Counts links together with those of other workers. The caller calls this before any link is opened.
    pub(super) fn share_budget(&mut self, budget: LinkBudget) {
        self.places.share_budget(budget);
    }

    /// Sets how old links may become; zero for any age.
    pub(super) fn set_max_age(&mut self, max_age: Duration) {
        self.age_limit.set_max_age(max_age);
    }

    /// Uses `credentials` for logins from now on. Returns the identities that have other ones than before.
    pub(super) fn replace_credentials(&mut self, credentials: LinkCredentials) -> Vec<IdentityId> {
        let differ = self.credentials.that_differ(&credentials);
        self.credentials = credentials;
        differ.iter().for_each(|identity| self.barriers.forget_refusal(*identity));
        differ
    }

    /// Returns whether a link is logged in.
    pub(super) fn has_ready(&self) -> bool {
        self.all.values().any(|held| held.link.phase() == Phase::Ready)
    }

    /// Lets no link log in at a replica from now on.
    pub(super) fn go_to_primaries_only(&mut self) {
        self.primary_only = true;
    }

    /// Returns the links that are logged in.
    pub(super) fn ready(&self) -> Vec<LinkId> {
        self.select(|_, held| held.link.phase() == Phase::Ready)
    }

    /// Notes that the server may be unreachable.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Notes that the server has answered, although it has no time for a link.
    pub(super) fn trust(&mut self) {
        self.in_doubt = false;
    }

    /// Returns whether the server may be unreachable. No link is logged in then.
    pub(super) fn is_in_doubt(&mut self) -> bool {
        self.in_doubt &= !self.has_ready();
        self.in_doubt
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Held> {
        self.all.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Held> {
        self.all.get_mut(id.0)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns how many leases are lent.
    pub(super) fn lease_count(&self) -> usize {
        self.pool.lent()
    }

    /// Returns the links for which `is_wanted` returns true.
    pub(super) fn select(&self, is_wanted: impl Fn(LinkId, &Held) -> bool) -> Vec<LinkId> {
        let all = self.all.iter().map(|(key, held)| (LinkId(key), held));
        all.filter(|(id, held)| is_wanted(*id, held)).map(|(id, _)| id).collect()
    }

    /// Returns the links that scripts may run on, or wait on.
    pub(super) fn with_scripts(&self) -> Vec<LinkId> {
        self.select(|_, held| held.may_hold_scripts())
    }

    /// Returns all shared links, also those that take no more sessions.
    pub(super) fn shared_ids(&self) -> Vec<LinkId> {
        self.select(|_, held| held.shared().is_some())
    }

    /// Notes whether Redis owes a reply on a link now that is waited for.
    pub(super) fn note_owing(&mut self, id: LinkId, is_owing: bool, now: Instant) {
        if let Some(held) = self.all.get_mut(id.0) {
            held.note_owing(is_owing, now);
        }
    }

    /// Returns the shared links on which Redis has owed a reply for `timeout`.
    pub(super) fn owing_for(&self, timeout: Duration, now: Instant) -> Vec<LinkId> {
        self.select(|_, held| held.has_owed_for(timeout, now))
    }

    /// Returns the bytes that the buffers of a link have.
    pub(super) fn memory_of(&self, id: LinkId) -> usize {
        self.all.get(id.0).map_or(0, |held| held.link.memory())
    }

    /// Returns the bytes that all links have in buffers and queues.
    pub(super) fn memory(&self) -> usize {
        self.all.values().map(Held::memory).fold(0, usize::saturating_add)
    }

    /// Frees memory that links do not need now; if `hard`, also what they keep for later.
    pub(super) fn compact(&mut self, hard: bool) {
        self.all.values_mut().for_each(|held| held.compact(hard));
    }

    /// Counts the links by kind, with the bytes that wait on them.
    pub(super) fn add_to(&self, gauges: &mut Gauges) {
        self.all.values().for_each(|held| held.add_to(gauges));
    }

    /// Marks a link for the shell, which looks at it again.
    pub(super) fn touch(&mut self, id: LinkId) {
        if let Some(held) = self.all.get_mut(id.0) {
            note(&mut held.touched, &mut self.touched, id);
        }
    }

    /// Takes a link that was touched.
    pub(super) fn next_touched(&mut self) -> Option<LinkId> {
        let id = self.touched.pop_front()?;
        if let Some(held) = self.all.get_mut(id.0) {
            held.touched = false;
        }
        Some(id)
    }

    /// Takes a link that the shell is to connect.
    pub(super) fn next_to_open(&mut self) -> Option<LinkId> {
        self.opening.next()
    }

    /// Logs a link in, whose socket is connected, with the credentials in force. Returns false if there are none
    /// for the link's identity: then it must be closed.
    pub(super) fn connected(&mut self, id: LinkId) -> bool {
        let Some(held) = self.all.get_mut(id.0) else { return true };
        let credentials = self.credentials.of(held.key.identity);
        if let Some(credentials) = credentials {
            held.link.connected(credentials, self.primary_only);
        }
        credentials.is_some()
    }

    fn open(&mut self, key: LinkKey, usage: Usage, place: Place, now: Instant) -> LinkId {
        let held = Held::new(key, usage, place, now);
        let is_prepared = held.link.selects_database();
        let id = LinkId(self.all.insert(held));
        self.opening.add(id, is_prepared);
        id
    }

    /// Returns the link that sessions share for `key`, if there is one.
    pub(super) fn shared(&self, key: LinkKey) -> Option<LinkId> {
        self.lanes.get(key)
    }

    /// The same, but opens a link if there is none. Returns `None` where no more links can be opened.
    pub(super) fn share(&mut self, key: LinkKey, now: Instant) -> Option<LinkId> {
        if let Some(id) = self.shared(key) {
            return Some(id);
        }
        let place = self.place(Want::Shared)?;
        let id = self.open(key, Usage::Shared(Shared::new(key.lane)), place, now);
        self.lanes.insert(key, id);
        Some(id)
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

    /// See [`Held::serves`].
    pub(super) fn serves(&self, id: LinkId, wanted: LinkKey, has_pending: bool) -> bool {
        self.all.get(id.0).is_some_and(|held| held.serves(wanted, has_pending))
    }

    /// See [`Held::serves_last_session`].
    pub(super) fn serves_last_session(&self, id: LinkId, wanted: LinkKey) -> bool {
        self.all.get(id.0).is_some_and(|held| held.serves_last_session(wanted))
    }

    /// Returns whether more requests for the link should wait.
    pub(super) fn is_full(&self, id: LinkId) -> bool {
        self.all.get(id.0).is_some_and(Held::is_full)
    }

    /// Returns the buffer to which requests of `session` for the link are added. The caller calls
    /// [`Links::complete_request`] as soon as it has recorded what the reply is for.
    pub(super) fn requests(&mut self, id: LinkId, session: SessionId) -> Option<&mut BytesMut> {
        self.requests_of(id, session, false)
    }

    /// As [`Links::requests`], for one whole request; if `expects`, a shared link expects its reply from
    /// here on.
    #[inline]
    pub(super) fn requests_of(
        &mut self,
        id: LinkId,
        session: SessionId,
        expects: bool,
    ) -> Option<&mut BytesMut> {
        let Held { key, link, usage, touched, .. } = self.all.get_mut(id.0)?;
        note(touched, &mut self.touched, id);
        self.incomplete = Some(id);
        if let Usage::Shared(shared) = usage {
            shared.enter(session, *key, link.requests(), &mut self.barriers);
            if expects {
                shared.queue.push(session);
            }
        }
        Some(link.requests())
    }

    /// Notes that the request that was added is whole and that its reply is expected.
    pub(super) fn complete_request(&mut self) {
        self.incomplete = None;
    }

    /// Takes the link on which a request may have been added in part, or without an expectation.
    pub(super) fn take_incomplete(&mut self) -> Option<LinkId> {
        self.incomplete.take()
    }

    /// Notes that a session which has used a shared link sends nothing more. If replies to it may be
    /// missing, a barrier is sent, which shows that.
    pub(super) fn leave(&mut self, id: LinkId, session: SessionId) {
        if let Some(Held { key, link, usage: Usage::Shared(shared), touched, .. }) =
            self.all.get_mut(id.0)
            && shared.is_left_open_by(session)
        {
            note(touched, &mut self.touched, id);
            shared.add_barrier(*key, link.requests(), &mut self.barriers);
        }
    }

    /// Sends a barrier over a shared link if it wants one although no session sends anything.
    pub(super) fn send_barrier(&mut self, id: LinkId) {
        if let Some(Held { key, link, usage: Usage::Shared(shared), touched, .. }) =
            self.all.get_mut(id.0)
            && shared.wants_barrier()
        {
            note(touched, &mut self.touched, id);
            self.barriers.note_refusal(key.identity, shared.may_not_echo());
            shared.add_barrier(*key, link.requests(), &mut self.barriers);
        }
    }
}

/// Adds `id` to the list of touched links, unless it is there.
#[inline]
fn note(is_touched: &mut bool, list: &mut VecDeque<LinkId>, id: LinkId) {
    if !std::mem::replace(is_touched, true) {
        list.push_back(id);
    }
}
