//! The pool of clean leases, and the number of leases in each state.

use crate::router::LinkId;
use crate::router::key::LinkKey;

/// A lease is lent to a session, then returned and not proved clean yet, then clean and in the pool.
#[derive(Default)]
pub(super) struct Pool {
    /// Clean leases with the state of their connections, the last used at the end.
    clean: Vec<(LinkId, LinkKey)>,
    /// Number of leases that sessions have.
    lent: usize,
    /// Number of leases that were returned and are not proved to be clean yet.
    returned: usize,
}

impl Pool {
    /// Number of clean leases that are kept.
    const MAX_CLEAN: usize = 64;

    /// Returns how many leases are lent.
    pub(super) fn lent(&self) -> usize {
        self.lent
    }

    /// Returns whether there is a clean lease in the state `wanted`.
    pub(super) fn has(&self, wanted: LinkKey) -> bool {
        self.clean.iter().any(|(_, key)| *key == wanted)
    }

    /// Takes the clean lease in the state `wanted` that was used last.
    pub(super) fn take(&mut self, wanted: LinkKey) -> Option<LinkId> {
        let place = self.clean.iter().rposition(|(_, key)| *key == wanted)?;
        Some(self.clean.remove(place).0)
    }

    /// Returns the clean leases, the last used at the end.
    pub(super) fn clean(&self) -> impl Iterator<Item = LinkId> {
        self.clean.iter().map(|(id, _)| *id)
    }

    /// Returns whether a lease that is returned now cannot be kept.
    pub(super) fn is_full(&self) -> bool {
        self.kept() >= Self::MAX_CLEAN
    }

    /// Returns whether a lease could be lent that is kept when it is returned.
    pub(super) fn has_lease_to_spare(&self) -> bool {
        !self.clean.is_empty() || self.lent.saturating_add(self.kept()) < Self::MAX_CLEAN
    }

    /// Leases that are in the pool or on their way there.
    fn kept(&self) -> usize {
        self.clean.len().saturating_add(self.returned)
    }

    /// Counts a lease that has just been lent.
    pub(super) fn count_lent(&mut self) {
        self.lent = self.lent.saturating_add(1);
    }

    /// Counts a lease that was lent and has been returned, and is not proved clean yet.
    pub(super) fn count_returned(&mut self) {
        self.count_lent_closed();
        self.returned = self.returned.saturating_add(1);
    }

    /// Keeps a lease that was returned and has been proved clean.
    pub(super) fn add_proved(&mut self, id: LinkId, key: LinkKey) {
        self.count_returned_closed();
        self.clean.push((id, key));
    }

    /// Counts that a lease was closed while it was lent.
    pub(super) fn count_lent_closed(&mut self) {
        self.lent = self.lent.saturating_sub(1);
    }

    /// Counts that a lease was closed while it was not proved clean.
    pub(super) fn count_returned_closed(&mut self) {
        self.returned = self.returned.saturating_sub(1);
    }

    /// Removes a clean lease that was closed.
    pub(super) fn remove(&mut self, id: LinkId) {
        self.clean.retain(|(current, _)| *current != id);
    }
}
