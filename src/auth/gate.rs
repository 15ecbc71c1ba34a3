//! Who may connect, and how many: what is asked before a session begins and when it authenticates.

// Addresses alone; sockets are the shell's.
use core::net::IpAddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipnet::IpNet;

use super::identities::{Certificate, Identities};
use super::{Refusal, Source, Throttle, ThrottleLimits, Verdict};

/// How many sessions there may be, over all workers. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// In all.
    pub sessions: usize,
    /// From one [`Source`].
    pub per_source: Option<usize>,
    /// Of one identity, that have authenticated: of those whose certificates are for the same, or
    /// of all that have none.
    pub per_identity: Option<usize>,
    /// That have not authenticated. One source can have seven eighths of them, so that none can
    /// keep the others out.
    pub unauthenticated: usize,
    /// Bytes that the buffers of those hold together.
    pub unauthenticated_memory: u64,
}

/// What all connections pass. Shared by all threads and touched when one comes, goes, authenticates
/// or fails to, and when one that has not authenticated sends or is sent something; never for a
/// request of one that has.
#[derive(Debug)]
pub struct Gate {
    allow: Vec<IpNet>,
    exempt: Vec<IpNet>,
    limits: GateLimits,
    throttle: Mutex<Throttle>,
    counts: Mutex<Counts>,
    /// Bytes that sessions which have not authenticated hold.
    memory: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    /// Sources with a session.
    sources: HashMap<Source, Count>,
    /// Identities with a session that has authenticated.
    identities: Identities,
}

#[derive(Debug, Default)]
struct Count {
    sessions: usize,
    /// Those of them that have not authenticated.
    unauthenticated: usize,
}

impl Gate {
    /// Of the places for sessions that have not authenticated, one source may have so many times
    /// what is left.
    const SHARE: usize = 7;

    /// A gate that lets in networks of `allow`, or everybody if there is none, and never slows down
    /// or locks out those of `exempt`.
    pub fn new(
        allow: Vec<IpNet>,
        limits: GateLimits,
        throttle: ThrottleLimits,
        exempt: Vec<IpNet>,
    ) -> Self {
        Self {
            allow,
            exempt,
            limits,
            throttle: Mutex::new(Throttle::new(throttle)),
            counts: Mutex::default(),
            memory: AtomicU64::new(0),
        }
    }

    /// A connection has come from `client`, or from somebody who will tell the client.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is counted then.
    pub fn admit(self: &Arc<Self>, client: Option<IpAddr>, now: Instant) -> Result<Pass, Refusal> {
        if let Some(client) = client {
            self.look_at(client, now)?;
        }
        let mut pass = self.take_place()?;
        if let Some(client) = client {
            pass.come_from(client)?;
        }
        Ok(pass)
    }

    /// How many connections have a pass now.
    pub fn sessions(&self) -> usize {
        self.counts().all.sessions
    }

    /// How many of them have not authenticated.
    pub fn unauthenticated(&self) -> usize {
        self.counts().all.unauthenticated
    }

    /// Bytes that the buffers of those hold.
    pub fn unauthenticated_memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// How many sources wrong passwords are remembered of, and how many of those are locked out.
    pub fn throttled(&self, now: Instant) -> (usize, usize) {
        let throttle = self.throttle();
        (throttle.len(), throttle.locked_out(now))
    }

    fn look_at(&self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        if !self.allow.is_empty() && !is_in(&self.allow, client) {
            return Err(Refusal::NotAllowed);
        }
        if !is_in(&self.exempt, client) && self.throttle().is_locked_out(client.into(), now) {
            return Err(Refusal::LockedOut);
        }
        Ok(())
    }

    fn take_place(self: &Arc<Self>) -> Result<Pass, Refusal> {
        let mut counts = self.counts();
        let Count { sessions, unauthenticated } = &mut counts.all;
        if *sessions >= self.limits.sessions {
            return Err(Refusal::Sessions);
        }
        if *unauthenticated >= self.limits.unauthenticated {
            return Err(Refusal::Unauthenticated);
        }
        *sessions = sessions.saturating_add(1);
        *unauthenticated = unauthenticated.saturating_add(1);
        Ok(Pass {
            gate: Arc::clone(self),
            source: None,
            certificate: None,
            is_exempt: true,
            is_authenticated: false,
            held: 0,
        })
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is in one of the networks. One that is mapped into IPv6 counts as IPv4.
pub fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// A connection's places in the counts of a [`Gate`], which it gives back when dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    /// Where the client connects from, once that is known.
    source: Option<Source>,
    /// Whom its certificate is for.
    certificate: Certificate,
    /// Whether its source is never slowed down nor locked out.
    is_exempt: bool,
    is_authenticated: bool,
    /// Bytes that are counted for it.
    held: u64,
}

impl Pass {
    /// It is known now that the client connects from `client`.
    ///
    /// # Errors
    /// [`Refusal`]; the pass is to be dropped.
    pub fn identify(&mut self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.gate.look_at(client, now)?;
        self.come_from(client)
    }

    fn come_from(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let limits = self.gate.limits;
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
        self.is_exempt = is_in(&self.gate.exempt, client);
        self.source = Some(source);
        Ok(())
    }

    /// The client has shown that it is whom its certificate is for, or has none. To be called before
    /// it authenticates.
    pub fn certify(&mut self, certificate: Option<Arc<str>>) {
        self.certificate = certificate;
    }

    /// The client gave a wrong password.
    pub fn failed(&self, now: Instant) -> Verdict {
        match self.source {
            Some(source) if !self.is_exempt => self.gate.throttle().failed(source, now),
            _ => Verdict::Answer,
        }
    }

    /// The client gave the right password for the first time, or for the first time since
    /// [`Pass::reset`]. Returns false when its identity has too many sessions already.
    pub fn authenticated(&mut self, now: Instant) -> bool {
        if let Some(source) = self.source.filter(|_| !self.is_exempt) {
            self.gate.throttle().succeeded(source, now);
        }
        let mut counts = self.gate.counts();
        if !counts.identities.enter(&self.certificate, self.gate.limits.per_identity) {
            return false;
        }
        counts.each(self.source, |count| {
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
            counts.each(self.source, |count| {
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
                others.saturating_add(more) <= self.gate.limits.unauthenticated_memory
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
        counts.each(self.source, |count| {
            count.sessions = count.sessions.saturating_sub(1);
            count.unauthenticated = count.unauthenticated.saturating_sub(unauthenticated);
        });
    }
}

impl Counts {
    /// Changes the count of all and that of `source`, which is forgotten when it comes to nothing.
    fn each(&mut self, source: Option<Source>, change: impl Fn(&mut Count)) {
        change(&mut self.all);
        if let Some(Entry::Occupied(mut entry)) = source.map(|source| self.sources.entry(source)) {
            change(entry.get_mut());
            if entry.get().sessions == 0 {
                entry.remove();
            }
        }
    }
}
