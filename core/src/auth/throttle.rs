//! What becomes of a source from which wrong passwords come: it is slowed down, then locked out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Source;

/// How soon a source is slowed down and locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Wrong passwords before a source is locked out. From half of them on, answers are delayed.
    pub failures: u32,
    /// How long the first lock-out lasts. Each further wrong password locks out for twice as long.
    /// Zero locks nobody out.
    pub lockout: Duration,
    /// The longest lock-out, and how long a source must be quiet after it to be forgotten.
    pub max_lockout: Duration,
}

/// What a wrong password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Answer,
    /// It is answered after this time.
    Delay(Duration),
    /// It is not answered, and its source is locked out from now on, for this time.
    LockOut(Duration),
    /// It is not answered: its source is locked out already. It makes the lock-out no longer, so
    /// that a pool of clients with an outdated password pays for the first of them only.
    LockedOut,
    /// It is not answered: so many answers to its source wait already.
    Crowded,
}

/// What is known of the sources of wrong passwords.
///
/// A right password halves what counts against its source. To forget it all would let one who is
/// let in, or somebody behind the same address, clear the way for guessing at will; to forget
/// nothing would let the slips of many honest clients add up.
///
/// The table is bounded by [`Throttle::MAX_SOURCES`], about 5 MiB. When it is full, sources go that
/// have been quiet longest; those that are locked out stay. When there are only such, further
/// sources are not remembered, and every wrong password from them is answered after
/// [`Throttle::LONGEST_DELAY`].
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    sources: HashMap<Source, Record>,
    /// Until when the table stays as full as it was found.
    full_until: Option<Instant>,
}

#[derive(Debug)]
struct Record {
    /// Wrong passwords, those while it was locked out not counted, halved by right ones.
    failures: u32,
    /// The last of them or, when that locked it out, the end of the lock-out.
    free_at: Instant,
    /// Answers that wait, as of [`Throttle::failed_shared`].
    delayed: u32,
}

impl Throttle {
    /// Most sources that are remembered.
    pub const MAX_SOURCES: usize = 65_536;
    /// Sources that are forgotten at once when there are too many, so that it happens seldom.
    const BATCH: usize = Self::MAX_SOURCES / 16;
    /// How long a table that holds too few sources which may be forgotten is not searched again.
    const FULL: Duration = Duration::from_secs(1);
    /// The first delay, doubled with each wrong password.
    const FIRST_DELAY: Duration = Duration::from_millis(100);
    /// The longest delay.
    pub const LONGEST_DELAY: Duration = Duration::from_secs(2);
    /// Answers to one shared source that wait at a time.
    pub const MAX_DELAYED: u32 = 64;

    /// A throttle that knows nobody.
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, sources: HashMap::new(), full_until: None }
    }

    /// Puts other limits in force, for wrong passwords from here on. A lock-out lasts its time.
    pub fn replace_limits(&mut self, limits: ThrottleLimits) {
        self.limits = limits;
    }

    /// A wrong password came from `source`.
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

    /// A wrong password came from `source`, which honest clients and whoever guesses have in common.
    /// It is never locked out, as that would keep the honest ones out, who have the right password.
    /// Nor does a right password count for it, so that they do not clear the way for whoever guesses.
    ///
    /// A delay must be followed by [`Throttle::answered`]. No more than [`Throttle::MAX_DELAYED`]
    /// answers wait at a time: those who wait take places that others need.
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

    /// An answer to a shared source waits no longer.
    pub fn answered(&mut self, source: Source) {
        if let Some(record) = self.sources.get_mut(&source) {
            record.delayed = record.delayed.saturating_sub(1);
        }
    }

    /// A right password came from `source`. A lock-out lasts its time all the same.
    pub fn succeeded(&mut self, source: Source, now: Instant) {
        if let Some(record) = self.sources.get_mut(&source) {
            record.failures /= 2;
            if record.failures == 0 && record.free_at <= now {
                self.sources.remove(&source);
            }
        }
    }

    /// Returns whether `source` is locked out.
    pub fn is_locked_out(&self, source: Source, now: Instant) -> bool {
        self.sources.get(&source).is_some_and(|record| now < record.free_at)
    }

    /// Returns how many sources are locked out. Looks at all that are remembered.
    pub fn locked_out(&self, now: Instant) -> usize {
        self.sources.values().filter(|record| now < record.free_at).count()
    }

    /// Returns how many sources are remembered.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Returns whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Returns whether one more source can be remembered, after others have been forgotten if need be.
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

    /// One more wrong password.
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.free_at = now;
    }

    /// Returns how much later the last wrong password is answered.
    fn delay(&self, most: u32) -> Option<Duration> {
        let times = self.failures.checked_sub(most.div_ceil(2))?;
        Some(doubled(Throttle::FIRST_DELAY, times, Throttle::LONGEST_DELAY))
    }

    /// Returns how long nothing has counted against it.
    fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.free_at)
    }
}

/// `first`, doubled so many times, and not more than `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 2_u32.checked_pow(times);
    factor.and_then(|factor| first.checked_mul(factor)).unwrap_or(longest).min(longest)
}
