//! One connection's places.

// Addresses alone; sockets are the shell's.
use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::identities::Certificate;
use super::{Gate, is_in};
use crate::auth::{Refusal, Source, Verdict};

/// A connection's places in the counts of a [`Gate`], which it gives back when dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    /// Where the client connects from, once that is known.
    client: Option<IpAddr>,
    /// Whom its certificate is for.
    certificate: Certificate,
    is_authenticated: bool,
    /// Bytes that are counted for it.
    held: u64,
}

impl Pass {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, client: None, certificate: None, is_authenticated: false, held: 0 }
    }

    /// It is known now that the client connects from `client`.
    ///
    /// # Errors
    /// [`Refusal`]; the pass is to be dropped.
    pub fn identify(&mut self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.gate.look_at(client, now)?;
        self.come_from(client)
    }

    pub(super) fn come_from(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let limits = self.gate.terms().limits;
        let source = Source::from(client);
        let mut counts = self.gate.counts();
        // This one has a place among all already.
        let others = counts.all.unauthenticated.saturating_sub(1);
        let left = limits.unauthenticated.saturating_sub(others);
        let known = counts.sources.get(&source);
        let (sessions, unauthenticated) =
            known.map_or((0, 0), |count| (count.sessions, count.unauthenticated));
        if limits.per_source.is_some_and(|most| sessions >= most) {
            return Err(Refusal::PerSource);
        }
        if unauthenticated >= left.saturating_mul(Gate::SHARE) {
            return Err(Refusal::Unauthenticated);
        }
        let count = counts.sources.entry(source).or_default();
        count.sessions = count.sessions.saturating_add(1);
        count.unauthenticated = count.unauthenticated.saturating_add(1);
        drop(counts);
        self.client = Some(client);
        Ok(())
    }

    /// Whether the client would be let in now, as far as that depends on where it connects from.
    ///
    /// # Errors
    /// [`Refusal`]; the pass is to be dropped.
    pub fn is_still_welcome(&self, now: Instant) -> Result<(), Refusal> {
        self.client.map_or(Ok(()), |client| self.gate.look_at(client, now))
    }

    fn source(&self) -> Option<Source> {
        self.client.map(Source::from)
    }

    /// The source, if it is slowed down and locked out as the terms are now.
    fn throttled(&self) -> Option<Source> {
        let exempt = |client: &IpAddr| is_in(&self.gate.terms().exempt, *client);
        self.client.filter(|client| !exempt(client)).map(Source::from)
    }

    /// The client has shown that it is whom its certificate is for, or has none. To be called before
    /// it authenticates.
    pub fn certify(&mut self, certificate: Option<Arc<str>>) {
        self.certificate = certificate;
    }

    /// The client gave a wrong password.
    pub fn failed(&self, now: Instant) -> Verdict {
        let throttled = self.throttled();
        throttled.map_or(Verdict::Answer, |source| self.gate.throttle().failed(source, now))
    }

    /// The client gave the right password for the first time, or for the first time since
    /// [`Pass::reset`]. Returns false when its identity has too many sessions already.
    pub fn authenticated(&mut self, now: Instant) -> bool {
        if let Some(source) = self.throttled() {
            self.gate.throttle().succeeded(source, now);
        }
        let limits = self.gate.terms().limits;
        let mut counts = self.gate.counts();
        if !counts.identities.enter(&self.certificate, limits.per_identity) {
            return false;
        }
        counts.each(self.source(), |count| {
            count.unauthenticated = count.unauthenticated.saturating_sub(1);
        });
        drop(counts);
        self.is_authenticated = true;
        self.hold(0);
        true
    }

    /// The client is not authenticated any more, by its own wish. It is let stay even where that
    /// makes too many of them: they are not to decide over one that was let in.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.is_authenticated) {
            let mut counts = self.gate.counts();
            counts.identities.leave(&self.certificate);
            counts.each(self.source(), |count| {
                count.unauthenticated = count.unauthenticated.saturating_add(1);
            });
        }
    }

    /// The client, which has not authenticated, has so many bytes held for it. Returns false when
    /// that is more than before and all together hold too much.
    pub fn hold(&mut self, bytes: u64) -> bool {
        let before = std::mem::replace(&mut self.held, bytes);
        let memory = &self.gate.memory;
        match bytes.checked_sub(before) {
            Some(0) => true,
            Some(more) => {
                let others = memory.fetch_add(more, Ordering::Relaxed);
                others.saturating_add(more) <= self.gate.terms().limits.unauthenticated_memory
            }
            None => {
                memory.fetch_sub(before.saturating_sub(bytes), Ordering::Relaxed);
                true
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.hold(0);
        let unauthenticated = usize::from(!self.is_authenticated);
        let mut counts = self.gate.counts();
        if self.is_authenticated {
            counts.identities.leave(&self.certificate);
        }
        counts.each(self.source(), |count| {
            count.sessions = count.sessions.saturating_sub(1);
            count.unauthenticated = count.unauthenticated.saturating_sub(unauthenticated);
        });
    }
}
