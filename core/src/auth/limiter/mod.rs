//! The connection limiter: who may connect, and how many sessions there may be. It is asked before a
//! session begins and when it authenticates.

mod identities;
mod permit;

// The core takes addresses only; sockets belong to the program.
use core::net::IpAddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use ipnet::IpNet;

use super::{Refusal, Source, Throttle, ThrottleLimits};
use identities::Identities;
pub use permit::Permit;

/// Most sessions, over all workers. `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Most sessions in total.
    pub sessions: usize,
    /// Most sessions of one [`Source`].
    pub per_source: Option<usize>,
    /// Most authenticated sessions of one identity: sessions whose certificates have the same name, or
    /// all sessions without a certificate.
    pub per_identity: Option<usize>,
    /// Most unauthenticated sessions. One source can have seven eighths of them, so that no source can
    /// keep the others out.
    pub unauthenticated: usize,
    /// Most bytes in the buffers of all unauthenticated sessions together.
    pub unauthenticated_memory: u64,
}

/// The networks that connections may come from, and how each is treated.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    /// Networks that may connect; empty means all.
    pub allow: Vec<IpNet>,
    /// Networks that are neither delayed nor locked out for wrong passwords.
    pub exempt: Vec<IpNet>,
    /// Networks whose addresses are shared by honest clients and others: wrong passwords are delayed
    /// but never lock the address out.
    pub shared: Vec<IpNet>,
}

/// Issues permits to connections.
///
/// All threads share it. It is used when a connection is accepted, closed, authenticates or fails to
/// authenticate, and when an unauthenticated client sends or receives bytes; never for a request of an
/// authenticated session.
#[derive(Debug)]
pub struct ConnectionLimiter {
    /// Locked only while the pointer is copied, and never together with another lock.
    terms: RwLock<Arc<Terms>>,
    throttle: Mutex<Throttle>,
    counts: Mutex<Counts>,
    /// Bytes that unauthenticated sessions hold.
    memory: AtomicU64,
}

/// The networks and limits in force. A reload replaces them as a whole.
#[derive(Debug)]
struct Terms {
    networks: Networks,
    limits: ConnectionLimits,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    /// Highest number of sessions at one time.
    peak: usize,
    /// Sources that have a session.
    sources: HashMap<Source, Count>,
    /// Identities that have an authenticated session.
    identities: Identities,
}

#[derive(Debug, Default)]
struct Count {
    sessions: usize,
    /// Sessions among them that have not authenticated.
    unauthenticated: usize,
}

impl ConnectionLimiter {
    /// A source may have this many times as many unauthenticated sessions as there are places left.
    const SHARE: usize = 7;

    /// Creates a limiter with these networks and limits.
    pub fn new(networks: Networks, limits: ConnectionLimits, throttle: ThrottleLimits) -> Self {
        Self {
            terms: RwLock::new(Arc::new(Terms { networks, limits })),
            throttle: Mutex::new(Throttle::new(throttle)),
            counts: Mutex::default(),
            memory: AtomicU64::new(0),
        }
    }

    /// Replaces networks and limits, as given to [`ConnectionLimiter::new`], for connections and logins
    /// from now on. Sessions keep their permits even if they are more than the new limits allow;
    /// recorded wrong passwords stay.
    pub fn replace(&self, networks: Networks, limits: ConnectionLimits, throttle: ThrottleLimits) {
        let terms = Arc::new(Terms { networks, limits });
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        self.throttle().replace_limits(throttle);
    }

    /// Admits a connection from `client`. `None` means that the address becomes known later, by
    /// [`Permit::identify`].
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is counted then.
    pub fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        now: Instant,
    ) -> Result<Permit, Refusal> {
        if let Some(client) = client {
            self.look_at(client, now)?;
        }
        let mut pass = self.take_place()?;
        if let Some(client) = client {
            pass.come_from(client)?;
        }
        Ok(pass)
    }

    /// Returns how many connections hold a permit.
    pub fn sessions(&self) -> usize {
        self.counts().all.sessions
    }

    /// Returns the highest number of permits at one time.
    pub fn peak(&self) -> usize {
        self.counts().peak
    }

    /// Returns how many sessions have not authenticated.
    pub fn unauthenticated(&self) -> usize {
        self.counts().all.unauthenticated
    }

    /// Returns how many bytes the buffers of unauthenticated sessions hold.
    pub fn unauthenticated_memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Returns how many sources have recorded wrong passwords, and how many of them are locked out.
    pub fn throttled(&self, now: Instant) -> (usize, usize) {
        let throttle = self.throttle();
        (throttle.len(), throttle.locked_out(now))
    }

    fn look_at(&self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        let networks = &self.terms().networks;
        if !networks.allow.is_empty() && !is_in(&networks.allow, client) {
            return Err(Refusal::NotAllowed);
        }
        let is_spared = is_in(&networks.exempt, client) || is_in(&networks.shared, client);
        if !is_spared && self.throttle().is_locked_out(client.into(), now) {
            return Err(Refusal::LockedOut);
        }
        Ok(())
    }

    fn take_place(self: &Arc<Self>) -> Result<Permit, Refusal> {
        let limits = self.terms().limits;
        let mut counts = self.counts();
        let Count { sessions, unauthenticated } = &mut counts.all;
        if *sessions >= limits.sessions {
            return Err(Refusal::Sessions);
        }
        if *unauthenticated >= limits.unauthenticated {
            return Err(Refusal::Unauthenticated);
        }
        *sessions = sessions.saturating_add(1);
        *unauthenticated = unauthenticated.saturating_add(1);
        counts.peak = counts.peak.max(counts.all.sessions);
        Ok(Permit::new(Arc::clone(self)))
    }

    fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if `address` is in one of `networks`. An IPv4 address mapped into IPv6 counts as IPv4.
pub fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

impl Counts {
    /// Changes the total and the count of `source`, and removes `source` when its count reaches zero.
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
