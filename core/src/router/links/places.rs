//! The worker's use of the budget of links.

use super::budget::{LinkBudget, Place, Want};
use crate::router::SessionId;

/// Where places for links come from: the budget that all workers share, and a place that is kept.
#[derive(Default)]
pub(super) struct Places {
    budget: LinkBudget,
    /// A place that is kept for the link that is opened next.
    reserved: Option<Place>,
    /// Sessions whose link was closed because another link needed its place.
    displaced: Vec<SessionId>,
}

impl Places {
    /// Counts links together with those of other workers. The caller calls this before any link is opened.
    pub(super) fn share_budget(&mut self, budget: LinkBudget) {
        self.budget = budget;
    }

    /// Returns whether three quarters of the budget are taken.
    pub(super) fn is_near_bound(&self) -> bool {
        self.budget.is_near()
    }

    /// Returns whether one more link may exist for a slow reader.
    pub(super) fn has_room_for_slow(&self) -> bool {
        self.reserved.as_ref().is_some_and(Place::is_slow) || self.budget.has_room_for_slow()
    }

    /// Returns whether some worker has a link in its pool, whose place it may give up.
    pub(super) fn has_idle(&self) -> bool {
        self.budget.idle() > 0
    }

    /// Takes a place from the budget; `None` at its bound.
    pub(super) fn take(&self, want: Want) -> Option<Place> {
        self.budget.take(want)
    }

    /// Keeps `place` for the link that is opened next. Returns whether there is one.
    pub(super) fn reserve(&mut self, place: Option<Place>) -> bool {
        self.reserved = place;
        self.reserved.is_some()
    }

    /// Takes the place that is kept.
    pub(super) fn take_reserved(&mut self) -> Option<Place> {
        self.reserved.take()
    }

    /// Notes a session whose link was closed because another link needed its place.
    pub(super) fn displace(&mut self, session: Option<SessionId>) {
        self.displaced.extend(session);
    }

    /// Returns whether a session has lost its link since [`Places::take_displaced`].
    #[inline]
    pub(super) fn has_displaced(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// Takes the sessions that have lost their link.
    pub(super) fn take_displaced(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.displaced)
    }
}
