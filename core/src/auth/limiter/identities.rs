//! How many sessions of each identity have authenticated.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Whom a client's certificate is for; clients without one are one identity.
pub(super) type Certificate = Option<Arc<str>>;

/// Counts of those that have at least one session.
#[derive(Debug, Default)]
pub(super) struct Identities(HashMap<Certificate, usize>);

impl Identities {
    /// Counts one more session; false, and nothing is counted, when it has `most` already.
    pub(super) fn enter(&mut self, identity: &Certificate, most: Option<usize>) -> bool {
        if !self.has_room(identity, most) {
            return false;
        }
        let count = self.0.entry(identity.clone()).or_default();
        *count = count.saturating_add(1);
        true
    }

    /// Returns whether the identity has fewer than `most` sessions.
    pub(super) fn has_room(&self, identity: &Certificate, most: Option<usize>) -> bool {
        let count = self.0.get(identity).copied().unwrap_or_default();
        most.is_none_or(|most| count < most)
    }

    /// Counts one session less.
    pub(super) fn leave(&mut self, identity: &Certificate) {
        if let Entry::Occupied(mut entry) = self.0.entry(identity.clone()) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}
