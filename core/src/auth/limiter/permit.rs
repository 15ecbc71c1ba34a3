//! One connection's places.

// Addresses alone; sockets are the shell's.
use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::identities::Certificate;
use super::{ConnectionLimiter, is_in};
use crate::auth::{Refusal, Source, Verdict};

/// A connection's places in the counts of a [`ConnectionLimiter`], which it gives back when dropped.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<ConnectionLimiter>,
    /// Where the client connects from, once that is known.
    client: Option<IpAddr>,
    /// The user of the client's process, if it has connected to a socket in the file system.
    user: Option<u32>,
    /// The shared source to which an answer waits.
    delayed: Option<Source>,
    /// Whom its certificate is for.
    certificate: Certificate,
    is_authenticated: bool,
    /// Bytes that are counted for it.
    held: u64,
}

/// How wrong passwords from a client count.
enum Throttled {
    /// Not at all.
    Never,
    /// Against its source, which is locked out in the end.
    Alone(Source),
    /// Against its source, which is slowed down and never locked out.
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

    /// It is known now that the client connects from `client`.
    ///
    /// # Errors
    /// [`Refusal`]; the pass is to be dropped.
    pub fn identify(&mut self, client: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.limiter.look_at(client, now)?;
        self.come_from(client)
    }

    pub(super) fn come_from(&mut self, client: IpAddr) -> Result<(), Refusal> {
        let limits = self.limiter.terms().limits;
        let source = Source::from(client);
        let mut counts = self.limiter.counts();
        // This one has a place among all already.
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

    /// Returns whether the client would be let in now, as far as that depends on where it connects from.
    ///
    /// # Errors
    /// [`Refusal`]; the pass is to be dropped.
    pub fn is_still_welcome(&self, now: Instant) -> Result<(), Refusal> {
        self.client.map_or(Ok(()), |client| self.limiter.look_at(client, now))
    }

    fn source(&self) -> Option<Source> {
        self.client.map(Source::from)
    }

    /// The client is a process of this user of this machine.
    pub fn is_of_user(&mut self, user: u32) {
        self.user = Some(user);
    }

    /// How wrong passwords from the client count as the terms are now.
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

    /// The client has shown that it is whom its certificate is for, or has none. To be called before
    /// it authenticates.
    pub fn certify(&mut self, certificate: Option<Arc<str>>) {
        self.certificate = certificate;
    }

    /// The client gave a wrong password. After a delay, [`Permit::answered`] is to be called.
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

    /// The answer to a wrong password waits no longer.
    pub fn answered(&mut self) {
        if let Some(source) = self.delayed.take() {
            self.limiter.throttle().answered(source);
        }
    }

    /// Returns whether [`Permit::authenticated`] would return true now. Another worker may be faster.
    pub fn may_authenticate(&self) -> bool {
        let limits = self.limiter.terms().limits;
        self.limiter.counts().identities.has_room(&self.certificate, limits.per_identity)
    }

    /// The client gave the right password for the first time, or for the first time since
    /// [`Permit::reset`]. Returns false when its identity has too many sessions already.
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

    /// The client is not authenticated any more, by its own wish. It is let stay even where that
    /// makes too many of them: they are not to decide over one that was let in.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.is_authenticated) {
            let mut counts = self.limiter.counts();
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
