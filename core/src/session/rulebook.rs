//! The rules for the sessions of all identities.

use std::sync::Arc;

use super::rules::Rules;
use crate::auth::IdentityId;

/// The rules for all sessions of a worker.
#[derive(Clone)]
pub struct Rulebook {
    strangers: Arc<Rules>,
    /// By the numbers of the identities.
    identities: Vec<Option<Arc<Rules>>>,
}

impl Rulebook {
    /// Creates a book with the rules for sessions that have not authenticated, and no others.
    ///
    /// From these rules is also taken what holds for all sessions together: the limit on memory, the bounds on
    /// unread replies, the numbers by which clients know each other, and Redoubt's own connections.
    pub fn new(strangers: Arc<Rules>) -> Self {
        Self { strangers, identities: Vec::new() }
    }

    /// Creates the book for one identity, whose rules hold for strangers too.
    pub fn of_one(rules: Arc<Rules>) -> Self {
        Self::new(Arc::clone(&rules)).with(IdentityId::FIRST, rules)
    }

    /// Adds the rules for the sessions of `identity`.
    #[must_use]
    pub fn with(mut self, identity: IdentityId, rules: Arc<Rules>) -> Self {
        let place = identity.number();
        if self.identities.len() <= place {
            self.identities.resize(place.saturating_add(1), None);
        }
        if let Some(kept) = self.identities.get_mut(place) {
            *kept = Some(rules);
        }
        self
    }

    /// Returns the rules for sessions of `identity`: those for strangers if it has none, as nobody.
    #[inline]
    pub fn of(&self, identity: IdentityId) -> &Arc<Rules> {
        match self.identities.get(identity.number()) {
            Some(Some(rules)) => rules,
            _ => &self.strangers,
        }
    }

    /// Returns the rules for sessions that have not authenticated, and what holds for all together.
    #[inline]
    pub fn strangers(&self) -> &Arc<Rules> {
        &self.strangers
    }
}
