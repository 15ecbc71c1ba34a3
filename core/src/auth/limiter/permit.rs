//! The permit of one connection.

// The core takes addresses only; sockets belong to the program.
use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::identities::Certificate;
use super::{ConnectionLimiter, is_in};
use crate::auth::{Refusal, Source, Verdict};

/// A connection's places in the counts of a [`ConnectionLimiter`]; dropping the permit returns them.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<ConnectionLimiter>,
    /// The client's address, if it is known.
    client: Option<IpAddr>,
    /// The user of the client's process, if the client connected to a Unix socket.
    user: Option<u32>,
    /// The shared source for which a delayed reply is counted.
    delayed: Option<Source>,
    /// The name in the client's certificate.
    certificate: Certificate,
    is_authenticated: bool,
    /// Bytes that are counted for this connection while it is unauthenticated.
    held: u64,
}

/// How wrong passwords from a client count.
enum Throttled {
    /// They do not count.
    Never,
    /// They count against the source, which is locked out in the end.
    Alone(Source),
    /// They count against the source, which is delayed and never locked out.
    Shared(Source),
}

impl Permit {
    pub(super) fn new(limiter: Arc<ConnectionLimiter>) -> Self {
        Self {
            limiter,
            client: None,
            user: None,
            delayed: None,
            certificate: None,
            is_authenticated: false,
            held: 0,
        }
    }

    /// Sets the client's address, once the PROXY protocol header has been read.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller drops the permit.
    pub fn identify(&mut self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.limiter.look_at(client, now)?;
        self.come_from(client)
    }

    pub(super) fn come_from(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let limits = self.limiter.terms().limits;
        let source = Source::from(client);
        let mut counts = self.limiter.counts();
        // The total already counts this connection.
        let others = counts.all.unauthenticated.saturating_sub(1);
        let left = limits.unauthenticated.saturating_sub(others);
        let known = counts.sources.get(&source);
        let (sessions, unauthenticated) =
            known.map_or((0, 0), |count| (count.sessions, count.unauthenticated));
        if limits.per_source.is_some_and(|most| sessions >= most) {
            return Err(Refusal::PerSource);
        }
        if unauthenticated >= left.saturating_mul(ConnectionLimiter::SHARE) {
            return Err(Refusal::Unauthenticated);
        }
        let count = counts.sources.entry(source).or_default();
        count.sessions = count.sessions.saturating_add(1);
        count.unauthenticated = count.unauthenticated.saturating_add(1);
        drop(counts);
        self.client = Some(client);
        Ok(())
    }

    /// Checks whether the limiter would still admit the client's address now.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller drops the permit.
    pub fn recheck(&self, now: Instant) -> Result<(), Refusal> {
        self.client.map_or(Ok(()), |client| self.limiter.look_at(client, now))
    }

    fn source(&self) -> Option<Source> {
        self.client.map(Source::from)
    }

    /// Records that the client is a process of the local user with the id `user`.
    pub fn is_of_user(&mut self, user: u32) {
        self.user = Some(user);
    }

    /// Returns how wrong passwords from the client count under the limits in force.
    fn throttled(&self) -> Throttled {
        let Some(client) = self.client else {
            return self
                .user
                .map_or(Throttled::Never, |user| Throttled::Shared(Source::User(user)));
        };
        let networks = &self.limiter.terms().networks;
        if is_in(&networks.exempt, client) {
            Throttled::Never
        } else if is_in(&networks.shared, client) {
            Throttled::Shared(client.into())
        } else {
            Throttled::Alone(client.into())
        }
    }

    /// Sets the name in the client's certificate; `None` if it has no certificate. The caller calls
    /// this before the client authenticates.
    pub fn certify(&mut self, certificate: Option<Arc<str>>) {
        self.certificate = certificate;
    }

    /// Records a wrong password. After a delay, the caller calls [`Permit::answered`].
    pub fn failed(&mut self, now: Instant) -> Verdict {
        self.answered();
        let throttled = self.throttled();
        let mut throttle = self.limiter.throttle();
        match throttled {
            Throttled::Never => Verdict::Answer,
            Throttled::Alone(source) => throttle.failed(source, now),
            Throttled::Shared(source) => {
                let verdict = throttle.failed_shared(source, now);
                self.delayed = matches!(verdict, Verdict::Delay(_)).then_some(source);
                verdict
            }
        }
    }

    /// Records that the delayed reply to a wrong password has been sent or dropped.
    pub fn answered(&mut self) {
        if let Some(source) = self.delayed.take() {
            self.limiter.throttle().answered(source);
        }
    }

    /// Returns true if [`Permit::authenticated`] would return true now. Another worker may take the
    /// last place in between.
    pub fn may_authenticate(&self) -> bool {
        let limits = self.limiter.terms().limits;
        self.limiter.counts().identities.has_room(&self.certificate, limits.per_identity)
    }

    /// Counts the session as authenticated. The caller calls this for the first right password, and for
    /// the first after [`Permit::reset`]. Returns false if the identity has too many sessions already.
    pub fn authenticated(&mut self, now: Instant) -> bool {
        if let Throttled::Alone(source) = self.throttled() {
            self.limiter.throttle().succeeded(source, now);
        }
        let limits = self.limiter.terms().limits;
        let mut counts = self.limiter.counts();
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

    /// Counts the session as unauthenticated again, after the client sent `RESET`. It may stay even if
    /// unauthenticated sessions are then more than their limit, because the limit applies to new
    /// connections only.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.is_authenticated) {
            let mut counts = self.limiter.counts();
            counts.identities.leave(&self.certificate);
            counts.each(self.source(), |count| {
                count.unauthenticated = count.unauthenticated.saturating_add(1);
            });
        }
    }

    /// Sets how many bytes are held for this unauthenticated client. Returns false if that is more than
    /// before and all unauthenticated clients together hold too much.
    pub fn hold(&mut self, bytes: u64) -> bool {
        let before = std::mem::replace(&mut self.held, bytes);
        let memory = &self.limiter.memory;
        match bytes.checked_sub(before) {
            Some(0) => true,
            Some(more) => {
                let others = memory.fetch_add(more, Ordering::Relaxed);
                others.saturating_add(more) <= self.limiter.terms().limits.unauthenticated_memory
            }
            None => {
                memory.fetch_sub(before.saturating_sub(bytes), Ordering::Relaxed);
                true
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.answered();
        self.hold(0);
        let unauthenticated = usize::from(!self.is_authenticated);
        let mut counts = self.limiter.counts();
        if self.is_authenticated {
            counts.identities.leave(&self.certificate);
        }
        counts.each(self.source(), |count| {
            count.sessions = count.sessions.saturating_sub(1);
            count.unauthenticated = count.unauthenticated.saturating_sub(unauthenticated);
        });
    }
}
