//! A token bucket: it limits the average rate and allows bursts of one second's tokens.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The interval at which tokens are added to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
}

impl Rate {
    /// Most tokens per second. The interval is counted in whole nanoseconds, so the rate is at most 1 %
    /// off.
    pub const MAX_PER_SECOND: u32 = 10_000_000;

    /// Returns the rate of `tokens` per second, at most [`Rate::MAX_PER_SECOND`].
    pub fn per_second(tokens: NonZeroU32) -> Self {
        let tokens = tokens.get().min(Self::MAX_PER_SECOND);
        Self { interval: SECOND.checked_div(tokens).unwrap_or(SECOND) }
    }

    /// Returns how much a bucket holds, as the time that it takes to fill: one second's tokens, but at
    /// least two tokens, so that no token is lost to a full bucket while a session waits for its turn.
    fn capacity(self) -> Duration {
        SECOND.max(self.interval.saturating_mul(2))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The tokens of one session. A new bucket is full.
///
/// It is stored as the instant at which the bucket would be full again if nothing more were taken: the
/// time until then shows how many tokens are missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// Returns true if the bucket holds less than one token.
    pub fn is_empty(&self, rate: Rate, now: Instant) -> bool {
        let missing = self.full_at.map(|full| full.saturating_duration_since(now));
        missing.is_some_and(|missing| missing > rate.capacity().saturating_sub(rate.interval))
    }

    /// Takes a token; an empty bucket goes below zero.
    pub fn take(&mut self, rate: Rate, now: Instant) {
        let from = self.full_at.map_or(now, |full| full.max(now));
        self.full_at = from.checked_add(rate.interval);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a point to count from; nothing waits for it")]
mod tests {
    use super::*;

    fn rate(tokens: u32) -> Rate {
        Rate::per_second(NonZeroU32::new(tokens).unwrap())
    }

    /// Takes all tokens and returns their number.
    fn empty(bucket: &mut TokenBucket, rate: Rate, now: Instant) -> u32 {
        let mut taken = 0;
        while !bucket.is_empty(rate, now) {
            bucket.take(rate, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_full_bucket_holds_one_second_of_tokens() {
        for tokens in [2, 3, 5, 7, 100, 1000, 9999] {
            let (mut bucket, now) = (TokenBucket::default(), Instant::now());
            assert_eq!(empty(&mut bucket, rate(tokens), now), tokens);
            // A bucket holds no more, however long nothing is taken.
            let later = now + Duration::from_secs(1000);
            assert_eq!(empty(&mut bucket, rate(tokens), later), tokens);
        }
        assert_eq!(empty(&mut TokenBucket::default(), rate(1), Instant::now()), 2);
    }

    #[test]
    fn the_average_rate_does_not_depend_on_how_often_tokens_are_taken() {
        for tokens in [1, 2, 3, 4, 5, 7, 11, 333, 5000] {
            for look in [1, 37, 200, 230] {
                let (mut bucket, start) = (TokenBucket::default(), Instant::now());
                empty(&mut bucket, rate(tokens), start);
                let mut taken = 0;
                for turn in 1..=100_000 / look {
                    let now = start + Duration::from_millis(look * turn);
                    taken += empty(&mut bucket, rate(tokens), now);
                }
                let fair = f64::from(tokens) * 100.0;
                let off = f64::from(taken) / fair - 1.0;
                assert!(off.abs() < 0.02, "{taken} taken in 100 s, at {tokens} a second");
            }
        }
    }

    #[test]
    fn rates_are_capped_at_the_maximum() {
        assert_eq!(rate(u32::MAX), rate(Rate::MAX_PER_SECOND));
        assert_eq!(rate(Rate::MAX_PER_SECOND).interval, Duration::from_nanos(100));
    }
}
