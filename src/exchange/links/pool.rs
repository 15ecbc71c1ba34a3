//! Leases: lent to one session while it is stateful, and kept in a pool while they are clean.

use std::time::Instant;

use bytes::Bytes;

use super::{Links, Usage};
use crate::exchange::{LinkId, SessionId};
use crate::resp::{Protocol, encode_command};
use crate::session::{Counted, DueQueue, Expect, Learn, Receiver, Show, State};
use crate::upstream::Link;

/// The connection state of a lease in the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::exchange) struct Prepared {
    pub(super) database: u32,
    pub(super) protocol: Protocol,
    pub(super) name: Option<Bytes>,
}

impl Prepared {
    fn of(state: &State) -> Self {
        Self { database: state.database(), protocol: state.protocol(), name: state.name().cloned() }
    }
}

impl Links {
    /// Clean leases that are kept.
    const MAX_POOL: usize = 64;

    /// A lease for `owner`, which has none, in the state that its session is in; `None` when all are
    /// lent. A session never has two.
    ///
    /// What must be sent first goes before the session's requests, and its replies are awaited in
    /// `due`. With `noted`, that is at least one command.
    pub(in crate::exchange) fn lend(
        &mut self,
        owner: SessionId,
        state: &State,
        due: &mut DueQueue,
        noted: bool,
        now: Instant,
    ) -> Option<LinkId> {
        if self.leases >= self.limits.leases {
            return None;
        }
        debug_assert!(!self.is_lent_to(owner), "a second lease for one session");
        let wanted = Prepared::of(state);
        let pooled = self.pool.iter().rposition(|id| self.is_pooled(*id, wanted.protocol));
        let receiver = Receiver::default();
        let (id, prepared) = match pooled {
            Some(place) => {
                let id = self.pool.remove(place);
                let held = self.all.get_mut(id.0)?;
                let usage = std::mem::replace(&mut held.usage, Usage::Lease { owner, receiver });
                let Usage::Idle(prepared) = usage else { return None };
                (id, prepared)
            }
            None => {
                let link = Link::new(wanted.protocol, wanted.database);
                let id = self.open(link, Usage::Lease { owner, receiver }, now);
                (id, Prepared { name: None, ..wanted })
            }
        };
        self.leases = self.leases.saturating_add(1);
        let requests = self.requests(id)?;
        let mut first = |words: &[&[u8]], learn| {
            encode_command(words.iter().copied(), requests);
            due.push_remote(Expect { show: Show::Nothing, learn }, Counted::NOT);
        };
        if prepared.database != wanted.database {
            first(&[b"SELECT", wanted.database.to_string().as_bytes()], Learn::Required);
        }
        if prepared.name != wanted.name {
            let name = wanted.name.as_deref().unwrap_or_default();
            first(&[b"CLIENT", b"SETNAME", name], Learn::Required);
        }
        if noted {
            first(&[b"PING"], Learn::Nothing);
        }
        self.settle();
        Some(id)
    }

    /// Whether a lease could be lent that would go to the pool when it is given back.
    pub(in crate::exchange) fn has_lease_to_spare(&self) -> bool {
        let kept = self.leases.saturating_add(self.pool.len());
        self.leases < self.limits.leases && (!self.pool.is_empty() || kept < Self::MAX_POOL)
    }

    /// Takes a lease back. Its session must have let go of it, with nothing due.
    pub(in crate::exchange) fn give_back(&mut self, id: LinkId, state: &State, now: Instant) {
        let full = self.pool.len() >= Self::MAX_POOL;
        let Some(held) = self.all.get_mut(id.0) else { return };
        let clean = match &held.usage {
            Usage::Lease { receiver, .. } => receiver.is_between_frames(),
            _ => false,
        };
        if full || !clean || !held.link.is_quiet() {
            return self.close(id);
        }
        held.usage = Usage::Idle(Prepared::of(state));
        held.used = now;
        self.leases = self.leases.saturating_sub(1);
        self.pool.push(id);
    }

    fn is_lent_to(&self, session: SessionId) -> bool {
        let mut usages = self.all.values().map(|held| &held.usage);
        usages.any(|usage| matches!(usage, Usage::Lease { owner, .. } if *owner == session))
    }

    fn is_pooled(&self, id: LinkId, protocol: Protocol) -> bool {
        match self.all.get(id.0).map(|held| &held.usage) {
            Some(Usage::Idle(prepared)) => prepared.protocol == protocol,
            _ => false,
        }
    }
}
