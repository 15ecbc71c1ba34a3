//! What all sessions of one identity share, in all workers: the limits on all of them together, and what they
//! use of these.
//!
//! Owns: the counts, as atomics that outlive a reload. Leaves to [`crate::router`]: when something is counted,
//! and what happens at a limit.
//!
//! Invariants: nothing here takes a lock. A request of an identity without rates reads and writes nothing here;
//! what it does is added to the counts later.

mod pace;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(crate) use pace::Pace;
use pace::SharedBucket;

/// The limits on all sessions of an identity, and what they use. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct IdentityBounds {
    /// The limits.
    pub limits: SharedLimits,
    /// What is used.
    pub usage: Arc<IdentityUsage>,
}

/// The limits on all sessions of an identity together; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedLimits {
    /// Most sessions. One more is closed when it has authenticated.
    pub sessions: Option<usize>,
    /// Most leases. A session that needs one more gets what it gets when there is no link left.
    pub leases: Option<usize>,
    /// Most commands per second. Over them, Redoubt does not read from the sessions until there are tokens
    /// again.
    pub commands_per_second: Option<NonZeroU64>,
    /// Most bytes of requests per second, likewise.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// What the sessions of an identity use and have used.
#[derive(Debug, Default)]
pub struct IdentityUsage {
    sessions: AtomicUsize,
    leases: AtomicUsize,
    /// Commands, as far as workers have reported them.
    commands: AtomicU64,
    refused_sessions: AtomicU64,
    refused_leases: AtomicU64,
    command_waits: AtomicU64,
    byte_waits: AtomicU64,
    command_tokens: SharedBucket,
    byte_tokens: SharedBucket,
}

/// The values of an [`IdentityUsage`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdentityCounts {
    /// Sessions now.
    pub sessions: usize,
    /// Leases now.
    pub leases: usize,
    /// Commands since the start. Those of the last moment may be missing.
    pub commands: u64,
    /// Sessions that were closed at the limit on sessions.
    pub refused_sessions: u64,
    /// Leases that were not lent at the limit on leases.
    pub refused_leases: u64,
    /// Times that a session had to wait for the limit on commands per second.
    pub command_waits: u64,
    /// Times that a session had to wait for the limit on bytes per second.
    pub byte_waits: u64,
}

/// The place of one session in the count of an identity's sessions. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct SessionPlace(Arc<IdentityUsage>);

/// The place of one lease in the count of an identity's leases. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct LeasePlace(Arc<IdentityUsage>);

impl SharedLimits {
    /// Returns whether there is a limit on commands or bytes per second.
    pub fn has_rates(&self) -> bool {
        self.commands_per_second.is_some() || self.bytes_per_second.is_some()
    }
}

impl IdentityBounds {
    /// Returns whether one more session may begin now. Another worker may take the last place in between.
    pub(crate) fn has_room_for_session(&self) -> bool {
        let now = self.usage.sessions.load(Ordering::Relaxed);
        self.limits.sessions.is_none_or(|most| now < most)
    }

    /// Returns a place for one more session; `None` at the limit, and then the refusal is counted.
    pub(crate) fn take_session(&self) -> Option<SessionPlace> {
        let usage = &self.usage;
        let is_taken = take(&usage.sessions, self.limits.sessions, &usage.refused_sessions);
        is_taken.then(|| SessionPlace(Arc::clone(usage)))
    }

    /// Returns a place for one more lease; `None` at the limit, and then the refusal is counted.
    pub(crate) fn take_lease(&self) -> Option<LeasePlace> {
        let usage = &self.usage;
        let is_taken = take(&usage.leases, self.limits.leases, &usage.refused_leases);
        is_taken.then(|| LeasePlace(Arc::clone(usage)))
    }

    /// Returns whether one more lease may be lent now.
    pub(crate) fn has_room_for_lease(&self) -> bool {
        let now = self.usage.leases.load(Ordering::Relaxed);
        self.limits.leases.is_none_or(|most| now < most)
    }
}

impl IdentityUsage {
    /// Adds commands that sessions have made.
    pub(crate) fn add_commands(&self, more: u64) {
        self.commands.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns the counts.
    pub fn counts(&self) -> IdentityCounts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        IdentityCounts {
            sessions: self.sessions.load(Ordering::Relaxed),
            leases: self.leases.load(Ordering::Relaxed),
            commands: count(&self.commands),
            refused_sessions: count(&self.refused_sessions),
            refused_leases: count(&self.refused_leases),
            command_waits: count(&self.command_waits),
            byte_waits: count(&self.byte_waits),
        }
    }
}

impl SessionPlace {
    /// Returns what the place is counted in.
    pub(crate) fn usage(&self) -> &Arc<IdentityUsage> {
        &self.0
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for LeasePlace {
    fn drop(&mut self) {
        self.0.leases.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts one more, unless there are `most` already. Then the refusal is counted, and this returns false.
fn take(count: &AtomicUsize, most: Option<usize>, refused: &AtomicU64) -> bool {
    let most = most.unwrap_or(usize::MAX);
    let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
        (count < most).then(|| count.saturating_add(1))
    });
    if taken.is_err() {
        refused.fetch_add(1, Ordering::Relaxed);
    }
    taken.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_until_they_are_dropped() {
        let limits = SharedLimits { sessions: Some(2), leases: Some(1), ..SharedLimits::default() };
        let bounds = IdentityBounds { limits, ..IdentityBounds::default() };
        let other_worker = bounds.clone();
        let first = bounds.take_session();
        let second = other_worker.take_session();
        assert!(first.is_some() && second.is_some() && !bounds.has_room_for_session());
        assert!(bounds.take_session().is_none());
        drop(second);
        assert!(bounds.has_room_for_session() && bounds.take_session().is_some());
        let lease = bounds.take_lease();
        assert!(lease.is_some() && !other_worker.has_room_for_lease());
        assert!(other_worker.take_lease().is_none());
        // A reload may lower a limit below what is in use.
        let lower = SharedLimits { sessions: Some(1), ..limits };
        assert!(IdentityBounds { limits: lower, ..bounds.clone() }.take_session().is_none());
        let counts = bounds.usage.counts();
        assert_eq!((counts.sessions, counts.leases), (1, 1));
        assert_eq!((counts.refused_sessions, counts.refused_leases), (2, 1));
        drop((first, lease));
        assert_eq!((bounds.usage.counts().sessions, bounds.usage.counts().leases), (0, 0));
    }
}
