//! How links end: they are closed, replaced by new ones, or give their place to another link.

use std::collections::VecDeque;
use std::time::Instant;

use super::budget::{Place, Want};
use super::{Held, Links, Usage};
use crate::auth::IdentityId;
use crate::router::{LinkId, SessionId};

impl Links {
    /// Closes a link. No reply may be pending on it, or the sessions that wait for one must have ended.
    pub(in crate::router) fn close(&mut self, id: LinkId) {
        let Some(held) = self.all.get_mut(id.0) else { return };
        held.link.close();
        held.lease = None;
        // A second call finds the link closed and counts nothing twice.
        match std::mem::replace(&mut held.usage, Usage::Closed) {
            Usage::Lease(_) => self.pool.count_lent_closed(),
            Usage::Returned(_) => self.pool.count_returned_closed(),
            Usage::Shared(_) => self.lanes.remove(id),
            Usage::Idle => self.pool.remove(id),
            Usage::Closed => {}
        }
        if let Some(place) = &mut held.place {
            place.closing();
        }
        self.touch(id);
    }

    /// Removes a link, whose socket is closed.
    pub(in crate::router) fn forget(&mut self, id: LinkId) {
        self.close(id);
        self.all.remove(id.0);
    }

    /// Sends nothing more over a link than what has been added, and then closes its sending side.
    pub(in crate::router) fn finish(&mut self, id: LinkId) {
        if let Some(held) = self.all.get_mut(id.0)
            && !std::mem::replace(&mut held.finishes, true)
        {
            self.touch(id);
        }
    }

    /// Returns whether all has been sent over a link, so that its sending side is to be closed.
    pub(in crate::router) fn finishes(&self, id: LinkId) -> bool {
        self.all.get(id.0).is_some_and(|held| held.finishes && held.link.is_quiet())
    }

    /// Closes the links that nobody has used for long, and tries to open those that wait for the server.
    /// `scripts_used` is true if a client may believe that the server has its scripts.
    pub(in crate::router) fn tick(&mut self, scripts_used: bool, now: Instant) {
        self.opening.try_again(&mut self.all, now);
        self.close_all(&self.select(|_, held| held.is_long_unused(scripts_used, now)));
        self.places.reserve(None);
        if self.places.is_near_bound() {
            let clean: Vec<_> = self.pool.clean().collect();
            self.close_all(&clean);
        }
        // A retired link that was not read for the sake of a slow reader is read again when that time is over.
        for id in self.select(|_, held| held.is_retired()) {
            self.touch(id);
        }
    }

    fn close_all(&mut self, ids: &[LinkId]) {
        ids.iter().for_each(|id| self.close(*id));
    }

    /// Notes that the server has no time to prepare `id`. Returns the links that have waited for it, whose
    /// requests get the same answer; the shell does not know of them yet.
    pub(in crate::router) fn not_now(&mut self, id: LinkId, now: Instant) -> VecDeque<LinkId> {
        self.opening.not_now(id, &mut self.all, now)
    }

    /// Lets no more sessions use a shared link, which is closed when all replies have come.
    pub(in crate::router) fn retire(&mut self, id: LinkId) {
        if let Some(shared) = self.all.get_mut(id.0).and_then(Held::shared_mut) {
            shared.retire();
            self.lanes.remove(id);
        }
    }

    /// The same for a link whose client reads slowly: the link counts as one that exists for that client.
    pub(in crate::router) fn retire_for_slow_reader(&mut self, id: LinkId) {
        self.retire(id);
        if let Some(place) = self.all.get_mut(id.0).and_then(|held| held.place.as_mut()) {
            place.slow();
        }
    }

    /// Retires a shared link, and closes it at once if no reply is pending. Returns the sessions that waited
    /// for room on it.
    fn replace_shared(&mut self, id: LinkId) -> VecDeque<SessionId> {
        self.retire(id);
        let Some(shared) = self.all.get_mut(id.0).and_then(Held::shared_mut) else {
            return VecDeque::new();
        };
        let waiting = shared.take_waiting();
        if shared.is_empty() {
            self.close(id);
        }
        waiting
    }

    /// Closes or retires the links for which `is_meant` returns true and which no session has for its own. Returns
    /// the sessions that waited for room on one of them.
    fn replace_unowned(&mut self, is_meant: impl Fn(&Held) -> bool) -> VecDeque<SessionId> {
        let is_unused = |held: &Held| matches!(held.usage, Usage::Idle | Usage::Returned(_));
        self.close_all(&self.select(|_, held| is_unused(held) && is_meant(held)));
        let is_meant = |id: &LinkId| self.all.get(id.0).is_some_and(&is_meant);
        let shared: Vec<_> = self.lanes.ids().filter(is_meant).collect();
        shared.into_iter().flat_map(|id| self.replace_shared(id)).collect()
    }

    /// Replaces all links: shared ones take no more requests and are closed when all replies have come,
    /// clean leases are closed, and leases in use are closed when they are returned. Returns the sessions
    /// that waited for room on one of them.
    pub(in crate::router) fn replace_all(&mut self, now: Instant) -> VecDeque<SessionId> {
        self.age_limit.outdate(now);
        self.replace_unowned(|_| true)
    }

    /// Replaces the links of `identities` that no session has for its own, after their credentials have changed.
    /// Returns the sessions that waited for room on one of them.
    pub(in crate::router) fn rotate(&mut self, identities: &[IdentityId]) -> VecDeque<SessionId> {
        self.replace_unowned(|held| identities.contains(&held.key.identity))
    }

    /// Replaces the links that are too old, as [`Links::replace_all`] does.
    pub(in crate::router) fn replace_old(&mut self, now: Instant) -> VecDeque<SessionId> {
        let is_old = |id: &LinkId| {
            self.all.get(id.0).is_some_and(|held| self.age_limit.is_old(*id, held, now))
        };
        let pooled: Vec<_> = self.pool.clean().filter(is_old).collect();
        let shared: Vec<_> = self.lanes.ids().filter(is_old).collect();
        self.close_all(&pooled);
        shared.into_iter().flat_map(|id| self.replace_shared(id)).collect()
    }

    /// Returns whether a lease that is returned is closed, because a new link is to replace it.
    pub(in crate::router) fn is_outdated(&self, id: LinkId, now: Instant) -> bool {
        let held = self.all.get(id.0);
        held.is_some_and(|held| self.age_limit.is_outdated(id, held, now))
    }

    /// Returns whether three quarters of the budget of links are taken.
    pub(in crate::router) fn is_near_bound(&self) -> bool {
        self.places.is_near_bound()
    }

    /// Returns whether one more link may exist for a slow reader.
    pub(in crate::router) fn has_room_for_slow(&self) -> bool {
        self.places.has_room_for_slow()
    }

    /// Keeps a place for the link that is opened next. Returns whether there is one.
    pub(in crate::router) fn reserve(&mut self, want: Want) -> bool {
        self.places.reserve(None);
        let place = self.find_place(want);
        self.places.reserve(place)
    }

    /// Returns the place that is kept, or a new one.
    pub(super) fn place(&mut self, want: Want) -> Option<Place> {
        let mut place = self.places.take_reserved().or_else(|| self.find_place(want))?;
        place.used_for(want);
        Some(place)
    }

    /// Finds a place in the budget, or else the place of a link that is needed less, which is closed: a
    /// pooled lease; then, for a shared link, another shared link that is not used; then a link that was
    /// retired for a slow reader.
    fn find_place(&mut self, want: Want) -> Option<Place> {
        if let Some(place) = self.places.take(want) {
            return Some(place);
        }
        if want == Want::SlowLease {
            return None;
        }
        let longest_pooled = self.pool.clean().next();
        let id = longest_pooled
            .or_else(|| self.find_unused().filter(|_| want == Want::Shared))
            .or_else(|| self.find_left_to_one_session())?;
        let held = self.all.get_mut(id.0)?;
        self.places.displace(held.shared().and_then(|shared| shared.only_owed_session()));
        let place = held.place.take();
        self.close(id);
        place
    }

    /// Returns a shared link with a place on which no session waits for anything.
    fn find_unused(&self) -> Option<LinkId> {
        let is_unused = |held: &Held| held.shared().is_some_and(|shared| shared.is_unused());
        let mut links = self.all.iter();
        let found = links.find(|(_, held)| is_unused(held) && held.place.is_some());
        found.map(|(key, _)| LinkId(key))
    }

    /// Returns a retired link with a place on which replies are pending for one session alone.
    fn find_left_to_one_session(&self) -> Option<LinkId> {
        let is_left_to_one = |held: &Held| {
            held.is_retired()
                && held.shared().is_some_and(|shared| shared.only_owed_session().is_some())
        };
        let mut links = self.all.iter();
        let found = links.find(|(_, held)| is_left_to_one(held) && held.place.is_some());
        found.map(|(key, _)| LinkId(key))
    }

    /// Returns whether a session has lost its link because another link needed its place.
    #[inline]
    pub(in crate::router) fn has_displaced(&self) -> bool {
        self.places.has_displaced()
    }

    /// Takes the sessions that have lost their link since the last call.
    pub(in crate::router) fn take_displaced(&mut self) -> Vec<SessionId> {
        self.places.take_displaced()
    }
}
