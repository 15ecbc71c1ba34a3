//! Since when shared links have owed a reply.

use std::time::{Duration, Instant};

use super::{Links, Usage};
use crate::router::LinkId;

impl Links {
    /// All shared links, those that take no more sessions too.
    pub(in crate::router) fn shared_ids(&self) -> Vec<LinkId> {
        let shared = self.all.iter().filter(|(_, held)| matches!(held.usage, Usage::Shared(_)));
        shared.map(|(key, _)| LinkId(key)).collect()
    }

    /// Notes that the link owes a reply now, or none that is waited for.
    pub(in crate::router) fn note_owing(&mut self, id: LinkId, is_owing: bool, now: Instant) {
        let Some(held) = self.all.get_mut(id.0) else { return };
        held.owing = match held.owing {
            _ if !is_owing => None,
            None => Some(now),
            // A byte has come since.
            Some(since) => Some(since.max(held.used)),
        };
    }

    /// The links that have owed a reply for so long.
    pub(in crate::router) fn owing_for(&self, timeout: Duration, now: Instant) -> Vec<LinkId> {
        let is_overdue = |since: Instant| now.saturating_duration_since(since) >= timeout;
        let overdue = self.all.iter().filter(|(_, held)| {
            matches!(held.usage, Usage::Shared(_)) && held.owing.is_some_and(is_overdue)
        });
        overdue.map(|(key, _)| LinkId(key)).collect()
    }
}
