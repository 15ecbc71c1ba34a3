//! Leases: lent to one session while it is stateful, and kept in a pool while they are clean.

use std::time::Instant;

use super::proof::Proof;
use super::{Links, Usage, Want};
use crate::router::key::{Lane, LinkKey};
use crate::router::{LinkId, SessionId};
use crate::session::State;

impl Links {
    /// Clean leases that are kept.
    const MAX_POOL: usize = 64;

    /// A lease for `owner`, which has none, in the state `wanted`; `None` when no more links can be
    /// opened. A session never has two.
    ///
    /// A pooled one is taken only if it is in the session's database already: a `SELECT` before the
    /// session's request could fail, as while a script overruns, and the request would run elsewhere.
    pub(in crate::router) fn lend(
        &mut self,
        owner: SessionId,
        wanted: LinkKey,
        want: Want,
        now: Instant,
    ) -> Option<LinkId> {
        debug_assert!(!self.is_lent_to(owner), "a second lease for one session");
        let pooled = self.pool.iter().rposition(|id| self.is_pooled(*id, wanted));
        let usage = Usage::Lease(owner);
        let id = match pooled {
            Some(place) => {
                let id = self.pool.remove(place);
                let held = self.all.get_mut(id.0)?;
                held.usage = usage;
                if let Some(place) = &mut held.place {
                    place.used_for(want);
                }
                id
            }
            None => {
                let place = self.place(want)?;
                self.open(wanted, usage, place, now)
            }
        };
        self.leases = self.leases.saturating_add(1);
        Some(id)
    }

    /// Returns whether a lease could be lent that would go to the pool when it is given back.
    pub(in crate::router) fn has_lease_to_spare(&self) -> bool {
        !self.budget.is_near()
            && (!self.pool.is_empty() || self.leases.saturating_add(self.kept()) < Self::MAX_POOL)
    }

    /// Leases that are in the pool or on their way there.
    fn kept(&self) -> usize {
        self.pool.len().saturating_add(self.returned)
    }

    /// Takes a lease back. Its session must use it no more, with no reply pending. It goes to the pool
    /// once it is proved that the server has answered everything and nothing more.
    pub(in crate::router) fn give_back(&mut self, id: LinkId, state: &State, now: Instant) {
        let full = self.kept() >= Self::MAX_POOL || self.budget.is_near();
        let Some(held) = self.all.get_mut(id.0) else { return };
        let clean = match &held.usage {
            Usage::Lease(owner) if held.reader.is_between_frames() && state.is_reusable() => {
                Some(*owner)
            }
            _ => None,
        };
        let Some(owner) = clean.filter(|_| !full && held.link.is_quiet()) else {
            return self.close(id);
        };
        let (key, token) = (LinkKey::of(state, Lane::Lease), self.tokens.next());
        let requests = held.link.requests();
        let proof = Proof::write(owner, key, state, token, self.echoes, requests);
        held.usage = Usage::Returned(proof);
        held.used = now;
        if let Some(place) = &mut held.place {
            place.idle();
        }
        self.leases = self.leases.saturating_sub(1);
        self.returned = self.returned.saturating_add(1);
        self.touch(id);
    }

    fn is_lent_to(&self, session: SessionId) -> bool {
        let mut usages = self.all.values().map(|held| &held.usage);
        usages.any(|usage| matches!(usage, Usage::Lease(owner) if *owner == session))
    }

    pub(super) fn is_pooled(&self, id: LinkId, wanted: LinkKey) -> bool {
        let held = self.all.get(id.0);
        held.is_some_and(|held| matches!(held.usage, Usage::Idle) && held.key == wanted)
    }
}
