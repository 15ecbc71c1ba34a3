//! Leases: a lease is lent to one session while it is stateful, and returned to the pool afterwards.

use std::time::Instant;

use secrecy::ExposeSecret;

use super::proof::{Proof, Proved};
use super::{Links, Usage, Want};
use crate::resp::encode_command;
use crate::router::key::{Lane, LinkKey};
use crate::router::{LinkId, SessionId};
use crate::session::{Counted, Expect, IdentityBounds, Learn, PendingReplies, Show, State};
use crate::upstream::Credentials;

impl Links {
    /// Lends `owner`, which has no lease, one in the state `wanted`; `None` when no more links can be
    /// opened, or its identity has as many leases as its `bounds` allow. A session never has two.
    ///
    /// A pooled lease is taken only if it is in the session's database already: a `SELECT` before the
    /// session's request could fail, as while a script overruns, and the request would run in another
    /// database.
    pub(in crate::router) fn lend(
        &mut self,
        owner: SessionId,
        wanted: LinkKey,
        (want, bounds): (Want, &IdentityBounds),
        now: Instant,
    ) -> Option<LinkId> {
        debug_assert!(!self.is_lent_to(owner), "a second lease for one session");
        let lease = bounds.take_lease()?;
        let usage = Usage::Lease(owner);
        let id = match self.pool.take(wanted) {
            Some(id) => {
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
        if let Some(held) = self.all.get_mut(id.0) {
            held.lease = Some(lease);
        }
        self.pool.count_lent();
        Some(id)
    }

    fn is_lent_to(&self, session: SessionId) -> bool {
        let mut usages = self.all.values().map(|held| &held.usage);
        usages.any(|usage| matches!(usage, Usage::Lease(owner) if *owner == session))
    }

    /// Returns whether a session can be lent a link now, or can never be. Returns false only while another
    /// worker may soon close a link that nobody uses.
    pub(in crate::router) fn can_lend(&mut self, wanted: LinkKey, want: Want) -> bool {
        self.pool.has(wanted) || self.reserve(want) || !self.places.has_idle()
    }

    /// Returns whether a lease could be lent that would go to the pool when it is returned.
    pub(in crate::router) fn has_lease_to_spare(&self) -> bool {
        !self.places.is_near_bound() && self.pool.has_lease_to_spare()
    }

    /// Takes a lease back from its session, which must use it no more and wait for no reply. The lease goes
    /// to the pool once it is proved that the server has answered everything and nothing more.
    pub(in crate::router) fn give_back(&mut self, id: LinkId, state: &State, now: Instant) {
        let is_kept = !self.pool.is_full() && !self.places.is_near_bound();
        let Some(held) = self.all.get_mut(id.0) else { return };
        let clean = match &held.usage {
            Usage::Lease(owner) if held.reader.is_between_frames() && state.is_reusable() => {
                Some(*owner)
            }
            _ => None,
        };
        let Some(owner) = clean.filter(|_| is_kept && held.link.is_quiet()) else {
            return self.close(id);
        };
        let key = LinkKey::of(state, Lane::Lease);
        if key.identity != held.key.identity {
            return self.close(id);
        }
        let proof = Proof::write(owner, key, state, &mut self.barriers, held.link.requests());
        held.usage = Usage::Returned(proof);
        held.lease = None;
        held.used = now;
        if let Some(place) = &mut held.place {
            place.idle();
        }
        self.pool.count_returned();
        self.touch(id);
    }

    /// Takes bytes of a returned lease in. Afterwards the lease is in the pool, or closed, or still
    /// unproved.
    pub(in crate::router) fn prove(&mut self, id: LinkId, input: &[u8]) -> Proved {
        let Some(held) = self.all.get_mut(id.0) else { return Proved::Pending };
        let Usage::Returned(proof) = &mut held.usage else { return Proved::Pending };
        let proved = proof.receive(input);
        match proved {
            Proved::Pending => {}
            Proved::Clean => {
                held.key = proof.key();
                held.usage = Usage::Idle;
                self.pool.add_proved(id, held.key);
            }
            Proved::Refused => {
                // Another request carries the token from here on.
                self.barriers.note_refusal(proof.key().identity, proof.may_not_echo());
                self.close(id);
            }
            Proved::Mismatch(_) => self.close(id),
        }
        proved
    }

    /// Logs a lease in again, with the credentials in force. The reply is awaited in `pending`; an error
    /// closes the link.
    pub(in crate::router) fn log_in_again(
        &mut self,
        id: LinkId,
        owner: SessionId,
        pending: &mut PendingReplies,
    ) {
        let identity = self.all.get(id.0).map(|held| held.key.identity);
        let credentials = identity.and_then(|identity| self.credentials.of(identity)).cloned();
        let credentials = credentials.unwrap_or_default();
        if credentials.password.is_some()
            && let Some(held) = self.all.get_mut(id.0)
        {
            held.link.logs_in_as(&credentials);
        }
        let Credentials { user, password } = credentials;
        let (Some(password), Some(requests)) = (password, self.requests(id, owner)) else {
            return;
        };
        let mut words = vec!["AUTH"];
        words.extend(user.as_deref());
        words.push(password.expose_secret());
        encode_command(words.into_iter().map(str::as_bytes), requests);
        let expect = Expect { show: Show::Nothing, learn: Learn::Required };
        pending.push_remote(id, expect, Counted::NOT);
        self.complete_request();
    }
}
