//! Who may connect, and how many: what is asked before a session begins and when it authenticates.

mod identities;
mod permit;

// Addresses alone; sockets are the shell's.
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

/// How many sessions there may be, over all workers. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
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

/// Where connections come from, and what that means for them.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    /// Who may connect; everybody if there is none.
    pub allow: Vec<IpNet>,
    /// Who is never slowed down nor locked out for wrong passwords.
    pub exempt: Vec<IpNet>,
    /// Whose addresses honest clients and others have in common, so that they are slowed down and
    /// never locked out.
    pub shared: Vec<IpNet>,
}

/// What all connections pass. Shared by all threads and touched when one comes, goes, authenticates
/// or fails to, and when one that has not authenticated sends or is sent something; never for a
/// request of one that has.
#[derive(Debug)]
pub struct ConnectionLimiter {
    /// Held for no longer than it takes to copy the pointer, and never with another lock.
    terms: RwLock<Arc<Terms>>,
    throttle: Mutex<Throttle>,
    counts: Mutex<Counts>,
    /// Bytes that sessions which have not authenticated hold.
    memory: AtomicU64,
}

/// Who may connect, and how many. A reload replaces it whole.
#[derive(Debug)]
struct Terms {
    networks: Networks,
    limits: ConnectionLimits,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    /// The most sessions that there were at one time.
    peak: usize,
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

impl ConnectionLimiter {
    /// Of the places for sessions that have not authenticated, one source may have so many times
    /// what is left.
    const SHARE: usize = 7;

    /// A limiter that treats connections as `networks` says.
    pub fn new(networks: Networks, limits: ConnectionLimits, throttle: ThrottleLimits) -> Self {
        Self {
            terms: RwLock::new(Arc::new(Terms { networks, limits })),
            throttle: Mutex::new(Throttle::new(throttle)),
            counts: Mutex::default(),
            memory: AtomicU64::new(0),
        }
    }

    /// Puts other terms in force, as in [`ConnectionLimiter::new`], for whoever comes or authenticates from here
    /// on. Those who were let in keep their places, even where there are more of them than there may
    /// be now; what is known of wrong passwords stays.
    pub fn replace(&self, networks: Networks, limits: ConnectionLimits, throttle: ThrottleLimits) {
        let terms = Arc::new(Terms { networks, limits });
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        self.throttle().replace_limits(throttle);
    }

    /// A connection has come from `client`, or from somebody who will tell the client.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is counted then.
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

    /// Returns how many connections have a pass now.
    pub fn sessions(&self) -> usize {
        self.counts().all.sessions
    }

    /// The most that had one at one time.
    pub fn peak(&self) -> usize {
        self.counts().peak
    }

    /// Returns how many of them have not authenticated.
    pub fn unauthenticated(&self) -> usize {
        self.counts().all.unauthenticated
    }

    /// Bytes that the buffers of those hold.
    pub fn unauthenticated_memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Returns how many sources wrong passwords are remembered of, and how many of those are locked out.
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

/// Returns whether an address is in one of the networks. One that is mapped into IPv6 counts as IPv4.
pub fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
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
