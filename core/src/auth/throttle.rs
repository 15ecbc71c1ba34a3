//! Throttles sources of wrong passwords: first their replies are delayed, then the source is locked
//! out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Source;

/// When a source is delayed and locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Wrong passwords before a source is locked out. From half of this number on, replies are delayed.
    pub failures: u32,
    /// Duration of the first lock-out. Each further wrong password doubles it. Zero disables lock-outs.
    pub lockout: Duration,
    /// Longest lock-out. A source that sends no wrong password for this long after its lock-out is
    /// forgotten.
    pub max_lockout: Duration,
}

/// The consequence of a wrong password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reply is sent at once.
    Answer,
    /// The reply is sent after this time.
    Delay(Duration),
    /// No reply is sent, and the source is locked out from now on for this time.
    LockOut(Duration),
    /// No reply is sent, because the source is locked out already. The lock-out gets no longer, so that
    /// a pool of clients with an outdated password is charged for the first of them only.
    LockedOut,
    /// No reply is sent, because [`Throttle::MAX_DELAYED`] replies to this source are delayed already.
    Crowded,
}

/// The sources of wrong passwords.
///
/// A right password halves the failures of its source. If it cleared them, an authenticated client, or
/// another client behind the same address, could reset the throttle and guess without limit; if it left
/// them, the mistakes of many honest clients would add up.
///
/// The table is bounded by [`Throttle::MAX_SOURCES`], about 5 MiB. When it is full, the sources without
/// failures for the longest time are removed; sources that are locked out stay. If all are locked out,
/// further sources are not recorded, and every wrong password from them is answered after
/// [`Throttle::LONGEST_DELAY`].
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    sources: HashMap<Source, Record>,
    /// Until this time the table is taken to be full without a search.
    full_until: Option<Instant>,
}

#[derive(Debug)]
struct Record {
    /// Wrong passwords, halved by each right password. Attempts during a lock-out are not counted.
    failures: u32,
    /// Time of the last wrong password or, if it caused a lock-out, the end of the lock-out.
    free_at: Instant,
    /// Replies that are delayed now; see [`Throttle::failed_shared`].
    delayed: u32,
}

impl Throttle {
    /// Most sources that the table records.
    pub const MAX_SOURCES: usize = 65_536;
    /// Sources that are removed together when the table is full, so that the search for them is rare.
    const BATCH: usize = Self::MAX_SOURCES / 16;
    /// Time for which a full table is not searched again after a search has removed too few sources.
    const FULL: Duration = Duration::from_secs(1);
    /// The first delay; each further wrong password doubles it.
    const FIRST_DELAY: Duration = Duration::from_millis(100);
    /// Longest delay of a reply to a wrong password.
    pub const LONGEST_DELAY: Duration = Duration::from_secs(2);
    /// Most replies to one shared source that are delayed at a time.
    pub const MAX_DELAYED: u32 = 64;

    /// Creates a throttle without recorded sources.
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, sources: HashMap::new(), full_until: None }
    }

    /// Replaces the limits for wrong passwords from now on. Lock-outs that have begun keep their end.
    pub fn replace_limits(&mut self, limits: ThrottleLimits) {
        self.limits = limits;
    }

    /// Records a wrong password from `source`.
    pub fn failed(&mut self, source: Source, now: Instant) -> Verdict {
        if !self.sources.contains_key(&source) && !self.has_room(now) {
            return Verdict::Delay(Self::LONGEST_DELAY);
        }
        let ThrottleLimits { failures: most, lockout, max_lockout } = self.limits;
        let record = self.sources.entry(source).or_insert(Record::new(now));
        if now < record.free_at {
            return Verdict::LockedOut;
        }
        if record.quiet(now) >= max_lockout {
            record.failures = 0;
        }
        record.fail(now);
        let lockout = lockout.min(max_lockout);
        if let Some(times) = record.failures.checked_sub(most).filter(|_| !lockout.is_zero()) {
            let lasts = doubled(lockout, times, max_lockout);
            record.free_at = now.checked_add(lasts).unwrap_or(now);
            return Verdict::LockOut(lasts);
        }
        record.delay(most).map_or(Verdict::Answer, Verdict::Delay)
    }

    /// Records a wrong password from `source`, an address that honest clients share with others. Such a
    /// source is never locked out, because that would lock out the honest clients too. A right password
    /// does not reduce its failures, since otherwise the honest clients would reset the throttle for
    /// whoever guesses.
    ///
    /// The caller calls [`Throttle::answered`] after a delay. At most [`Throttle::MAX_DELAYED`] replies
    /// are delayed at a time, because each of them takes a session that others need.
    pub fn failed_shared(&mut self, source: Source, now: Instant) -> Verdict {
        if !self.sources.contains_key(&source) && !self.has_room(now) {
            return Verdict::Crowded;
        }
        let ThrottleLimits { failures: most, max_lockout, .. } = self.limits;
        let record = self.sources.entry(source).or_insert(Record::new(now));
        if record.quiet(now) >= max_lockout {
            record.failures = 0;
        }
        record.fail(now);
        let Some(delay) = record.delay(most) else { return Verdict::Answer };
        if record.delayed >= Self::MAX_DELAYED {
            return Verdict::Crowded;
        }
        record.delayed = record.delayed.saturating_add(1);
        Verdict::Delay(delay)
    }

    /// Records that a delayed reply to a shared source has been sent or dropped.
    pub fn answered(&mut self, source: Source) {
        if let Some(record) = self.sources.get_mut(&source) {
            record.delayed = record.delayed.saturating_sub(1);
        }
    }

    /// Records a right password from `source`. A lock-out that has begun keeps its end.
    pub fn succeeded(&mut self, source: Source, now: Instant) {
        if let Some(record) = self.sources.get_mut(&source) {
            record.failures /= 2;
            if record.failures == 0 && record.free_at <= now {
                self.sources.remove(&source);
            }
        }
    }

    /// Returns true if `source` is locked out.
    pub fn is_locked_out(&self, source: Source, now: Instant) -> bool {
        self.sources.get(&source).is_some_and(|record| now < record.free_at)
    }

    /// Returns how many sources are locked out. Reads the whole table.
    pub fn locked_out(&self, now: Instant) -> usize {
        self.sources.values().filter(|record| now < record.free_at).count()
    }

    /// Returns how many sources are recorded.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Returns true if no source is recorded.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Returns true if one more source can be recorded, after old ones have been removed if necessary.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.len() < Self::MAX_SOURCES {
            return true;
        }
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        let forget_after = self.limits.max_lockout;
        self.sources.retain(|_, record| now < record.free_at || record.quiet(now) < forget_after);
        let mut left = Self::BATCH.saturating_sub(Self::MAX_SOURCES.saturating_sub(self.len()));
        let mut free: Vec<_> =
            self.sources.values().map(|r| r.free_at).filter(|at| *at <= now).collect();
        let stalest = match left.checked_sub(1) {
            None => None,
            Some(last) if last < free.len() => Some(*free.select_nth_unstable(last).1),
            Some(_) => Some(now),
        };
        self.sources.retain(|_, record| {
            let goes = left > 0 && stalest.is_some_and(|stalest| record.free_at <= stalest);
            left = left.saturating_sub(usize::from(goes));
            !goes
        });
        if left > 0 {
            self.full_until = now.checked_add(Self::FULL);
        }
        self.len() < Self::MAX_SOURCES
    }
}

impl Record {
    fn new(now: Instant) -> Self {
        Self { failures: 0, free_at: now, delayed: 0 }
    }

    /// Counts a wrong password.
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.free_at = now;
    }

    /// Returns the delay of the reply to the last wrong password.
    fn delay(&self, most: u32) -> Option<Duration> {
        let times = self.failures.checked_sub(most.div_ceil(2))?;
        Some(doubled(Throttle::FIRST_DELAY, times, Throttle::LONGEST_DELAY))
    }

    /// Returns the time since the last failure or since the end of the lock-out.
    fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.free_at)
    }
}

/// Returns `first` doubled `times` times, at most `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 2_u32.checked_pow(times);
    factor.and_then(|factor| first.checked_mul(factor)).unwrap_or(longest).min(longest)
}
