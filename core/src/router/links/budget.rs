//! The bound on all links of the process. A link counts from when it is opened until its socket is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bound on the links of all workers, and their number. Clones count together.
///
/// An eighth of the bound is kept for shared links, so that leases never take the last place that plain
/// requests need. At most a quarter is lent to slow readers, and only while a quarter is free.
#[derive(Debug, Clone)]
pub struct LinkBudget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    most: AtomicUsize,
    open: AtomicUsize,
    /// Number of links that many sessions share.
    shared: AtomicUsize,
    /// Number of links that exist because a client reads slowly.
    slow: AtomicUsize,
    /// Number of links that are in a pool.
    idle: AtomicUsize,
}

/// The use for which a link is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Want {
    /// Many sessions share it.
    Shared,
    /// A session has it for its whole life, because no links are shared.
    Own,
    /// It is lent to one session.
    Lease,
    /// It is lent to a session whose client reads slowly.
    SlowLease,
}

/// The place of one link in the counts. Dropping it frees the place.
#[derive(Debug)]
pub(in crate::router) struct Place {
    budget: LinkBudget,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Lease,
    Slow,
    Idle,
}

impl Default for LinkBudget {
    /// Returns a budget without a bound.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl LinkBudget {
    /// Returns a budget of at most `most` links.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Counts {
            most: AtomicUsize::new(most),
            open: AtomicUsize::new(0),
            shared: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
        }))
    }

    /// Sets another bound. Links that are open stay open, even where there are more.
    pub fn set_most(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    /// Returns the bound.
    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// Returns how many links there are.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Returns how many links are in a pool.
    pub(super) fn idle(&self) -> usize {
        self.0.idle.load(Ordering::Relaxed)
    }

    /// Returns whether three quarters of the bound are taken, so that no link should be kept without need.
    pub(super) fn is_near(&self) -> bool {
        let most = self.most();
        self.open() >= most.saturating_sub(most / 4)
    }

    /// Returns whether one more link may exist for a slow reader.
    pub(in crate::router) fn has_room_for_slow(&self) -> bool {
        !self.is_near() && self.0.slow.load(Ordering::Relaxed) < (self.most() / 4).max(1)
    }

    /// Returns a place for one more link; `None` at the bound.
    pub(super) fn take(&self, want: Want) -> Option<Place> {
        let most = self.most();
        // The number of places that are kept for shared links.
        let kept = (most / 8).max(1);
        let most = match want {
            Want::Shared | Want::Own => most,
            Want::Lease => {
                let shared = self.0.shared.load(Ordering::Relaxed);
                most.saturating_sub(kept.saturating_sub(shared))
            }
            Want::SlowLease if !self.has_room_for_slow() => return None,
            Want::SlowLease => most,
        };
        let taken = self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < most).then(|| open.saturating_add(1))
        });
        taken.ok()?;
        let mut place = Place { budget: self.clone(), kind: Kind::Lease };
        place.become_kind(Kind::of(want));
        Some(place)
    }

    /// Returns the counter of places of this kind, if they are counted separately.
    fn counter(&self, kind: Kind) -> Option<&AtomicUsize> {
        match kind {
            Kind::Lease => None,
            Kind::Shared => Some(&self.0.shared),
            Kind::Slow => Some(&self.0.slow),
            Kind::Idle => Some(&self.0.idle),
        }
    }
}

impl Kind {
    fn of(want: Want) -> Self {
        match want {
            Want::Shared => Self::Shared,
            Want::Own | Want::Lease => Self::Lease,
            Want::SlowLease => Self::Slow,
        }
    }
}

impl Place {
    /// Counts the place as one of this use.
    pub(super) fn used_for(&mut self, want: Want) {
        self.become_kind(Kind::of(want));
    }

    /// Counts the place as that of a link which is being closed.
    pub(super) fn closing(&mut self) {
        self.become_kind(Kind::Lease);
    }

    /// Counts the place as that of a link for a slow reader.
    pub(super) fn slow(&mut self) {
        self.become_kind(Kind::Slow);
    }

    /// Returns whether it is counted as that of a link for a slow reader.
    pub(super) fn is_slow(&self) -> bool {
        self.kind == Kind::Slow
    }

    /// Counts the place as that of a link in the pool.
    pub(super) fn idle(&mut self) {
        self.become_kind(Kind::Idle);
    }

    fn become_kind(&mut self, kind: Kind) {
        let before = std::mem::replace(&mut self.kind, kind);
        if before != kind {
            self.budget.counter(before).map(|count| count.fetch_sub(1, Ordering::Relaxed));
            self.budget.counter(kind).map(|count| count.fetch_add(1, Ordering::Relaxed));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.become_kind(Kind::Lease);
        self.budget.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(budget: &LinkBudget, want: Want, most: usize) -> Vec<Place> {
        std::iter::from_fn(|| budget.take(want)).take(most).collect()
    }

    #[test]
    fn leases_leave_an_eighth_for_shared_links() {
        let budget = LinkBudget::new(16);
        let leases = take(&budget, Want::Lease, 100);
        assert_eq!((leases.len(), budget.open()), (14, 14));
        let shared = take(&budget, Want::Shared, 100);
        assert_eq!((shared.len(), budget.open()), (2, 16));
        drop(leases);
        assert_eq!(budget.open(), 2);
        // No places need be kept for shared links that exist.
        assert_eq!(take(&budget, Want::Lease, 100).len(), 14);
    }

    #[test]
    fn slow_readers_have_a_quarter_and_never_the_last_one() {
        let budget = LinkBudget::new(16);
        let slow = take(&budget, Want::SlowLease, 100);
        assert_eq!(slow.len(), 4);
        drop(slow);
        let others = take(&budget, Want::Lease, 11);
        assert_eq!(take(&budget, Want::SlowLease, 100).len(), 1);
        let more = take(&budget, Want::Lease, 1);
        assert!(budget.is_near() && !budget.has_room_for_slow());
        drop((others, more));
        assert!(budget.has_room_for_slow());
    }

    #[test]
    fn a_place_is_counted_by_its_latest_use() {
        let budget = LinkBudget::new(16);
        let mut place = budget.take(Want::Lease).unwrap();
        place.idle();
        place.idle();
        assert_eq!(budget.idle(), 1);
        place.used_for(Want::Lease);
        assert_eq!(budget.idle(), 0);
        place.slow();
        drop(place);
        assert_eq!((budget.open(), budget.0.slow.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn a_lower_bound_closes_no_link_and_prevents_new_ones() {
        let budget = LinkBudget::new(8);
        let mut places = take(&budget, Want::Own, 8);
        budget.set_most(4);
        assert!(budget.take(Want::Own).is_none());
        places.truncate(3);
        assert!(budget.take(Want::Own).is_some());
    }
}
