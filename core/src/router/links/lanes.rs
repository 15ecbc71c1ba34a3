//! The shared links that take sessions, by their keys.

use std::collections::HashMap;

use crate::router::LinkId;
use crate::router::key::LinkKey;

/// One shared link for each key at most. A link that takes no more sessions is not in here.
#[derive(Default)]
pub(super) struct Lanes(HashMap<LinkKey, LinkId>);

impl Lanes {
    /// Returns the link that sessions share for `key`.
    pub(super) fn get(&self, key: LinkKey) -> Option<LinkId> {
        self.0.get(&key).copied()
    }

    pub(super) fn insert(&mut self, key: LinkKey, id: LinkId) {
        self.0.insert(key, id);
    }

    /// Removes a link, which takes no more sessions.
    pub(super) fn remove(&mut self, id: LinkId) {
        self.0.retain(|_, current| *current != id);
    }

    /// Returns all links that take sessions.
    pub(super) fn ids(&self) -> impl Iterator<Item = LinkId> {
        self.0.values().copied()
    }
}
