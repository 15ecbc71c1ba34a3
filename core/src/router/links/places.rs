//! Where a place for one more link comes from, and which links give theirs up at the bound.

use super::budget::{LinkBudget, Place, Want};
use super::{Links, Usage};
use crate::router::key::LinkKey;
use crate::router::{LinkId, SessionId};

impl Links {
    /// Has links counted together with those of other workers. To be called before any is opened.
    pub(in crate::router) fn share_budget(&mut self, budget: LinkBudget) {
        self.budget = budget;
    }

    /// Returns whether three quarters of the bound are taken.
    pub(in crate::router) fn is_near_bound(&self) -> bool {
        self.budget.is_near()
    }

    /// Returns whether one more link may exist for a slow reader.
    pub(in crate::router) fn has_room_for_slow(&self) -> bool {
        self.reserved.as_ref().is_some_and(Place::is_slow) || self.budget.has_room_for_slow()
    }

    /// Keeps a place for the link that is opened next. Returns whether there is one.
    pub(in crate::router) fn reserve(&mut self, want: Want) -> bool {
        self.reserved = None;
        self.reserved = self.find_place(want);
        self.reserved.is_some()
    }

    /// Returns whether a session can be lent a link now, or can never be. False only while another worker
    /// may soon close one that nobody uses.
    pub(in crate::router) fn can_lend(&mut self, wanted: LinkKey, want: Want) -> bool {
        let pooled = self.pool.iter().any(|id| self.is_pooled(*id, wanted));
        pooled || self.reserve(want) || self.budget.idle() == 0
    }

    /// Returns whether a session has lost its link, as another needed its place.
    pub(in crate::router) fn has_displaced(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// Sessions that lost their link since the last call, as others needed its place.
    pub(in crate::router) fn take_displaced(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.displaced)
    }

    /// Marks the link as one that exists because its client reads slowly.
    pub(in crate::router) fn note_slow(&mut self, id: LinkId) {
        if let Some(place) = self.all.get_mut(id.0).and_then(|held| held.place.as_mut()) {
            place.slow();
        }
    }

    /// The place that is reserved, or a new one.
    pub(super) fn place(&mut self, want: Want) -> Option<Place> {
        let mut place = self.reserved.take().or_else(|| self.find_place(want))?;
        place.used_for(want);
        Some(place)
    }

    /// Closes links that nobody uses where there may soon be too few for those who need them.
    pub(super) fn give_up_places(&mut self) {
        self.reserved = None;
        if self.budget.is_near() {
            for id in std::mem::take(&mut self.pool) {
                self.close(id);
            }
        }
    }

    /// A place from the budget, or else from a link that others need less: one of the pool, then, for
    /// a shared link, another shared one without use, then one that was retired for a slow reader.
    fn find_place(&mut self, want: Want) -> Option<Place> {
        if let Some(place) = self.budget.take(want) {
            return Some(place);
        }
        if want == Want::SlowLease {
            return None;
        }
        let yields = self
            .pool
            .first()
            .copied()
            .or_else(|| self.unused().filter(|_| want == Want::Shared))
            .or_else(|| self.left_to_one());
        let id = yields?;
        if let Some(Usage::Shared(shared)) = self.all.get(id.0).map(|held| &held.usage) {
            self.displaced.extend(shared.only_owed_session());
        }
        let place = self.all.get_mut(id.0).and_then(|held| held.place.take());
        self.close(id);
        place
    }

    /// A shared link on which nothing is due.
    fn unused(&self) -> Option<LinkId> {
        let mut links = self.all.iter();
        links.find_map(|(key, held)| match &held.usage {
            Usage::Shared(shared) if shared.is_unused() && held.place.is_some() => {
                Some(LinkId(key))
            }
            _ => None,
        })
    }

    /// A link that takes no more sessions and owes replies to one alone.
    fn left_to_one(&self) -> Option<LinkId> {
        let mut links = self.all.iter();
        links.find_map(|(key, held)| match &held.usage {
            Usage::Shared(shared)
                if shared.is_retired()
                    && shared.only_owed_session().is_some()
                    && held.place.is_some() =>
            {
                Some(LinkId(key))
            }
            _ => None,
        })
    }
}
