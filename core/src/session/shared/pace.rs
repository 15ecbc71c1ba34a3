//! Rates that all sessions of an identity share.
//!
//! While the identity's bucket holds tokens, each request takes what it needs. When it is empty, a session
//! reserves its next tokens, of which the bucket then holds less than none, and waits until they are due. So
//! the sessions of all workers stand in one line, whoever asks more often: one that comes later, also one that
//! has not waited yet, gets its tokens after them. Those that wait share what two fifths of a second bring, because a
//! worker looks at them only a few times a second. What a session has reserved and does not need at once it may use
//! for [`KEPT`] more, as long as others wait; so one that sends
//! little does not wait for each request.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::{IdentityUsage, SharedLimits};

/// How long a session keeps reserved tokens after they are due.
const KEPT: Duration = Duration::from_secs(1);

/// Nanoseconds in a second: a bucket holds the tokens of one.
const SECOND: u64 = 1_000_000_000;

/// The time, as nanoseconds, of the first look at a bucket. It is late enough for the times before it that are
/// computed from it.
const START: u64 = 10 * SECOND;

/// The tokens of all sessions of an identity. A new bucket is full.
///
/// As [`TokenBucket`](crate::session::TokenBucket) it is stored as the time at which the bucket would be full
/// again.
#[derive(Debug, Default)]
pub(super) struct SharedBucket {
    /// When somebody first looked at the bucket.
    start: OnceLock<Instant>,
    /// Nanoseconds; [`START`] is at `start`.
    full_at: AtomicU64,
    /// Number of sessions that wait for a reservation.
    waiting: AtomicUsize,
}

/// Returns the time in which `tokens` come at this rate, in nanoseconds.
fn time_of(tokens: u64, per_second: NonZeroU64) -> u64 {
    let time = u128::from(tokens).saturating_mul(u128::from(SECOND));
    let time = time.div_ceil(u128::from(per_second.get()));
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// Returns the time in which an empty bucket becomes full: at least that of two tokens, so that no token is lost
/// to a full bucket while a session waits for its turn, and at least `cost`, so that any request can be paid.
fn capacity(per_second: NonZeroU64, cost: u64) -> u64 {
    SECOND.max(time_of(2, per_second)).max(cost)
}

impl SharedBucket {
    fn nanoseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(*self.start.get_or_init(|| now));
        START.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2))
    }

    fn update(&self, change: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).ok()
    }

    /// Takes `tokens`, if the bucket holds as many.
    fn try_take(&self, tokens: u64, per_second: NonZeroU64, now: Instant) -> bool {
        let (cost, now) = (time_of(tokens, per_second), self.nanoseconds(now));
        let latest = now.saturating_add(capacity(per_second, cost));
        let taken = self.update(|full_at| {
            Some(full_at.max(now).saturating_add(cost)).filter(|next| *next <= latest)
        });
        taken.is_some()
    }

    /// Takes `tokens`, of which the bucket may hold fewer. Returns when it would hold them.
    fn reserve(&self, tokens: u64, per_second: NonZeroU64, now: Instant) -> Instant {
        let (cost, at) = (time_of(tokens, per_second), self.nanoseconds(now));
        let after = |full_at: u64| full_at.max(at).saturating_add(cost);
        let before = self.update(|full_at| Some(after(full_at))).unwrap_or_default();
        let wait = after(before).saturating_sub(capacity(per_second, cost)).saturating_sub(at);
        now.checked_add(Duration::from_nanos(wait)).unwrap_or(now)
    }

    /// Puts tokens back that were taken and not used.
    fn give_back(&self, tokens: u64, per_second: NonZeroU64) {
        let cost = time_of(tokens, per_second);
        self.update(|full_at| Some(full_at.saturating_sub(cost)));
    }

    /// Returns how many tokens a session reserves, as one of those that wait: they share those of two fifths of a
    /// second. That is longer than the time between two ticks of a worker, so that no tokens are left over when a
    /// worker looks at its sessions.
    fn share(&self, per_second: NonZeroU64) -> u64 {
        let waiting = u64::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        let all = (per_second.get() / 5).saturating_mul(2);
        all.checked_div(waiting).unwrap_or(all).max(1)
    }
}

/// The tokens of one session: of the commands and of the bytes that it may send.
#[derive(Debug)]
pub(crate) struct Pace {
    usage: Arc<IdentityUsage>,
    commands: Allowance,
    bytes: Allowance,
}

/// Tokens that a session has taken from a bucket and not used; fewer than none if it has used more than it had.
#[derive(Debug, Default)]
struct Allowance {
    left: i64,
    /// When the tokens are due, while the session waits for them.
    due: Option<Instant>,
    /// How long tokens that were reserved are kept.
    kept_until: Option<Instant>,
    /// The rate at which they were taken.
    per_second: Option<NonZeroU64>,
}

impl Pace {
    /// Creates the pace of a session that has no tokens.
    pub(crate) fn new(usage: &Arc<IdentityUsage>) -> Self {
        Self {
            usage: Arc::clone(usage),
            commands: Allowance::default(),
            bytes: Allowance::default(),
        }
    }

    /// Returns whether it counts in `usage`.
    pub(crate) fn is_of(&self, usage: &Arc<IdentityUsage>) -> bool {
        Arc::ptr_eq(&self.usage, usage)
    }

    /// Returns whether one more request may be taken now. If not, tokens are reserved, and
    /// [`Pace::is_due`] becomes true.
    pub(crate) fn may_take(&mut self, limits: &SharedLimits, now: Instant) -> bool {
        let usage = &*self.usage;
        let all = [
            (&mut self.commands, &usage.command_tokens, limits.commands_per_second),
            (&mut self.bytes, &usage.byte_tokens, limits.bytes_per_second),
        ];
        let waits = [&usage.command_waits, &usage.byte_waits];
        let mut may_take = true;
        for ((allowance, bucket, rate), waits) in all.into_iter().zip(waits) {
            let Some(rate) = rate.filter(|_| may_take) else { continue };
            let had_reserved = allowance.due.is_some();
            may_take = allowance.may_take(bucket, rate, now);
            if !may_take && !had_reserved {
                waits.fetch_add(1, Ordering::Relaxed);
            }
        }
        may_take
    }

    /// Puts back what the session has kept for too long. Called at each tick.
    pub(crate) fn expire(&mut self, now: Instant) {
        let usage = &*self.usage;
        self.commands.expire(&usage.command_tokens, now);
        self.bytes.expire(&usage.byte_tokens, now);
    }

    /// Returns whether reserved tokens are due, or none are reserved.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let is_due = |allowance: &Allowance| allowance.due.is_none_or(|due| now >= due);
        is_due(&self.commands) && is_due(&self.bytes)
    }

    /// Uses the token of a command.
    pub(crate) fn use_command(&mut self) {
        self.commands.left = self.commands.left.saturating_sub(1);
    }

    /// Uses the tokens of bytes of requests.
    pub(crate) fn use_bytes(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes.left = self.bytes.left.saturating_sub(bytes);
    }

    /// Puts back what the session does not use now, and takes what it has used in excess.
    pub(crate) fn settle(&mut self, limits: &SharedLimits, now: Instant) {
        let usage = &*self.usage;
        self.commands.settle(&usage.command_tokens, limits.commands_per_second, now);
        self.bytes.settle(&usage.byte_tokens, limits.bytes_per_second, now);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let usage = &*self.usage;
        self.commands.put_back(&usage.command_tokens);
        self.bytes.put_back(&usage.byte_tokens);
    }
}

impl Allowance {
    fn may_take(&mut self, bucket: &SharedBucket, per_second: NonZeroU64, now: Instant) -> bool {
        if let Some(due) = self.due {
            if now < due {
                return false;
            }
            self.end_wait(bucket);
        }
        if self.left > 0 {
            return true;
        }
        let needed = 1_u64.saturating_add(self.left.unsigned_abs());
        self.per_second = Some(per_second);
        if bucket.try_take(needed, per_second, now) {
            self.left = 1;
            return true;
        }
        bucket.waiting.fetch_add(1, Ordering::Relaxed);
        let reserved = needed.max(bucket.share(per_second));
        let more = i64::try_from(reserved).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(more);
        let due = bucket.reserve(reserved, per_second, now);
        self.due = Some(due);
        self.kept_until = due.checked_add(KEPT);
        false
    }

    fn end_wait(&mut self, bucket: &SharedBucket) {
        if self.due.take().is_some() {
            bucket.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn settle(&mut self, bucket: &SharedBucket, per_second: Option<NonZeroU64>, now: Instant) {
        if let Some(per_second) = per_second.filter(|_| self.left < 0) {
            bucket.reserve(self.left.unsigned_abs(), per_second, now);
            self.left = 0;
        }
        let others_wait = bucket.waiting.load(Ordering::Relaxed) > 0;
        if !others_wait || self.kept_until.is_none_or(|until| now >= until) {
            self.put_back(bucket);
        }
    }

    fn expire(&mut self, bucket: &SharedBucket, now: Instant) {
        if self.due.is_none() && self.kept_until.is_some_and(|until| now >= until) {
            self.put_back(bucket);
        }
    }

    fn put_back(&mut self, bucket: &SharedBucket) {
        self.end_wait(bucket);
        self.kept_until = None;
        if let (Ok(left @ 1..), Some(per_second)) = (u64::try_from(self.left), self.per_second) {
            bucket.give_back(left, per_second);
        }
        self.left = 0;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a point to count from; nothing waits for it")]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(200);

    fn limits(commands: u64, bytes: Option<u64>) -> SharedLimits {
        SharedLimits {
            commands_per_second: NonZeroU64::new(commands),
            bytes_per_second: bytes.and_then(NonZeroU64::new),
            ..SharedLimits::default()
        }
    }

    /// Sends up to `most` commands of `bytes` each. Returns how many were taken.
    fn send(pace: &mut Pace, limits: &SharedLimits, most: u64, bytes: usize, now: Instant) -> u64 {
        let mut sent = 0;
        while sent < most {
            if !pace.may_take(limits, now) {
                return sent;
            }
            pace.use_command();
            pace.use_bytes(bytes);
            sent += 1;
        }
        pace.settle(limits, now);
        sent
    }

    #[test]
    fn all_sessions_together_may_send_one_second_of_commands_at_once() {
        let (usage, now) = (Arc::default(), Instant::now());
        let limits = limits(100, None);
        let mut paces: Vec<_> = (0..10).map(|_| Pace::new(&usage)).collect();
        let sent = paces.iter_mut().map(|pace| send(pace, &limits, 7, 1, now)).sum::<u64>();
        assert_eq!(sent, 70);
        let rest = paces.iter_mut().map(|pace| send(pace, &limits, 7, 1, now)).sum::<u64>();
        assert_eq!(rest, 30);
        assert!(usage.counts().command_waits > 0);
    }

    #[test]
    fn waiting_sessions_get_equal_shares_of_the_whole_rate() {
        for (rate, sessions) in [(1000, 1), (1000, 2), (1000, 7), (50, 100), (3, 5), (100_000, 9)] {
            let (usage, start) = (Arc::default(), Instant::now());
            let limits = limits(rate, None);
            let mut paces: Vec<_> = (0..sessions).map(|_| Pace::new(&usage)).collect();
            let mut sent = vec![0_u64; sessions];
            let (warm_up, seconds) = (10, 100);
            for tick in 0..5 * (warm_up + seconds) {
                if tick == 5 * warm_up {
                    sent.fill(0);
                }
                let now = start + TICK * tick;
                // The first sessions in the list always come first, as they may in a worker.
                for (pace, sent) in paces.iter_mut().zip(&mut sent) {
                    *sent += send(pace, &limits, u64::MAX, 1, now);
                }
            }
            let all = sent.iter().sum::<u64>() as f64;
            let fair = (rate * u64::from(seconds)) as f64;
            assert!((all / fair - 1.0).abs() < 0.03, "{all} of {fair} at {rate}, {sessions}");
            let (least, most) = (*sent.iter().min().unwrap(), *sent.iter().max().unwrap());
            let spread = (most - least) as f64 / (all / sessions as f64);
            assert!(spread < 0.35, "{least} to {most} at {rate}, {sessions}");
        }
    }

    #[test]
    fn a_greedy_session_does_not_delay_a_modest_one_for_long() {
        let (usage, start) = (Arc::default(), Instant::now());
        let limits = limits(100, None);
        let (mut greedy, mut modest) = (Pace::new(&usage), Pace::new(&usage));
        let mut served = 0;
        for tick in 0..500 {
            let now = start + TICK * tick;
            send(&mut greedy, &limits, u64::MAX, 1, now);
            served += send(&mut modest, &limits, 1, 1, now);
        }
        // It asks for five a second, and its share is fifty. It waits for a tick or two now and then.
        assert!(served > 350, "{served}");
    }

    #[test]
    fn bytes_are_paid_for_afterwards() {
        let (usage, start) = (Arc::default(), Instant::now());
        let limits = SharedLimits { commands_per_second: None, ..limits(1, Some(10_000)) };
        let mut paces: Vec<_> = (0..4).map(|_| Pace::new(&usage)).collect();
        let mut sent = 0;
        for tick in 0..500 {
            let now = start + TICK * tick;
            // A request may be larger than what a second brings.
            sent += paces.iter_mut().map(|pace| send(pace, &limits, 3, 15_000, now)).sum::<u64>();
        }
        let bytes = sent as f64 * 15_000.0;
        assert!((bytes / 1_000_000.0 - 1.0).abs() < 0.1, "{bytes} bytes in 100 s");
    }

    #[test]
    fn reserved_tokens_return_when_a_session_ends() {
        let (usage, now) = (Arc::default(), Instant::now());
        let limits = limits(10, None);
        let mut first = Pace::new(&usage);
        assert_eq!(send(&mut first, &limits, 10, 1, now), 10);
        for _ in 0..1000 {
            let mut other = Pace::new(&usage);
            assert_eq!(send(&mut other, &limits, 1, 1, now), 0);
        }
        assert_eq!(usage.command_tokens.waiting.load(Ordering::Relaxed), 0);
        let later = now + Duration::from_millis(510);
        assert_eq!(send(&mut first, &limits, 5, 1, later), 5);
    }
}
