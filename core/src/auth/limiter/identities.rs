//! Counts the authenticated sessions of each identity.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The name in a client's certificate; all clients without a certificate count as one identity.
pub(super) type Certificate = Option<Arc<str>>;

/// Number of sessions of each identity that has at least one.
#[derive(Debug, Default)]
pub(super) struct Identities(HashMap<Certificate, usize>);

impl Identities {
    /// Counts one more session of an identity. Returns false, without counting, if it already has
    /// `most`.
    pub(super) fn enter(&mut self, identity: &Certificate, most: Option<usize>) -> bool {
        if !self.has_room(identity, most) {
            return false;
        }
        let count = self.0.entry(identity.clone()).or_default();
        *count = count.saturating_add(1);
        true
    }

    /// Returns true if the identity has fewer than `most` sessions.
    pub(super) fn has_room(&self, identity: &Certificate, most: Option<usize>) -> bool {
        let count = self.0.get(identity).copied().unwrap_or_default();
        most.is_none_or(|most| count < most)
    }

    /// Counts one session fewer.
    pub(super) fn leave(&mut self, identity: &Certificate) {
        if let Entry::Occupied(mut entry) = self.0.entry(identity.clone()) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}
