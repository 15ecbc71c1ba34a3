//! Links that are replaced by new ones, which find where the server is now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Held, Links, Usage};
use crate::router::{LinkId, SessionId};

impl Links {
    /// Sets how old links may become; zero for any age.
    pub(in crate::router) fn set_max_age(&mut self, max_age: Duration) {
        self.max_age = max_age;
    }

    /// Replaces the links of now: shared ones take no more requests and are closed when all replies
    /// have come, clean leases are closed, and leases in use are closed when they are given back.
    /// Returns the sessions that waited for room on one of them.
    pub(in crate::router) fn replace_all(&mut self, now: Instant) -> VecDeque<SessionId> {
        self.outdated = Some(now);
        self.let_go()
    }

    /// Takes no more sessions on the links that no session has for its own. Returns the sessions that
    /// waited for room on one of them.
    pub(super) fn let_go(&mut self) -> VecDeque<SessionId> {
        let unused = |held: &Held| matches!(held.usage, Usage::Idle | Usage::Returned(_));
        let unused = self.all.iter().filter(|(_, held)| unused(held));
        let unused: Vec<_> = unused.map(|(key, _)| LinkId(key)).collect();
        unused.into_iter().for_each(|id| self.close(id));
        let shared: Vec<_> = self.shared.values().copied().collect();
        shared.into_iter().flat_map(|id| self.replace_shared(id)).collect()
    }

    /// The same for the links that are too old. Each may be up to an eighth younger, so that those
    /// opened together are not replaced together.
    pub(in crate::router) fn replace_old(&mut self, now: Instant) -> VecDeque<SessionId> {
        if self.max_age.is_zero() {
            return VecDeque::new();
        }
        let pooled: Vec<_> = self.pool.iter().copied().filter(|id| self.is_old(*id, now)).collect();
        pooled.into_iter().for_each(|id| self.close(id));
        let shared = self.shared.values().copied().filter(|id| self.is_old(*id, now));
        let shared: Vec<_> = shared.collect();
        shared.into_iter().flat_map(|id| self.replace_shared(id)).collect()
    }

    /// Returns whether a lease that is given back is closed, as new links are to take its place.
    pub(in crate::router) fn is_outdated(&self, id: LinkId, now: Instant) -> bool {
        let opened = self.all.get(id.0).map(|held| held.opened);
        opened.is_some_and(|opened| self.outdated.is_some_and(|then| opened <= then))
            || self.is_old(id, now)
    }

    fn is_old(&self, id: LinkId, now: Instant) -> bool {
        let Some(held) = self.all.get(id.0).filter(|_| !self.max_age.is_zero()) else {
            return false;
        };
        now.saturating_duration_since(held.opened) >= share_of(self.max_age, id)
    }

    /// Takes no more sessions on a shared link. Returns those that waited for room on it.
    fn replace_shared(&mut self, id: LinkId) -> VecDeque<SessionId> {
        self.retire(id);
        let Some(Usage::Shared(shared)) = self.all.get_mut(id.0).map(|held| &mut held.usage) else {
            return VecDeque::new();
        };
        let waiting = shared.take_waiting();
        if shared.is_empty() {
            self.close(id);
        }
        waiting
    }
}

/// Seven eighths of `max_age` to all of it, by the link's number.
fn share_of(max_age: Duration, id: LinkId) -> Duration {
    // The golden ratio's fraction spreads numbers that follow each other.
    let number = slotmap::Key::data(&id.0).as_ffi().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = u32::try_from(number >> 48).unwrap_or_default();
    let eighth = max_age.checked_div(8).unwrap_or_default();
    let younger = eighth.saturating_mul(part).checked_div(1 << 16).unwrap_or_default();
    max_age.saturating_sub(younger)
}
