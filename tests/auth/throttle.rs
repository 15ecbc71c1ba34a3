//! The throttle on a clock that the tests move.
#![allow(
    clippy::disallowed_methods,
    reason = "the instant is only a start of measurement; no code waits for it"
)]

use std::time::{Duration, Instant};

use redoubt_core::auth::{Source, Throttle, ThrottleLimits, Verdict};

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: ThrottleLimits =
    ThrottleLimits { failures: 10, lockout: SECOND, max_lockout: Duration::from_secs(60) };

struct Bench {
    throttle: Throttle,
    now: Instant,
}

impl Bench {
    fn new(limits: ThrottleLimits) -> Self {
        Self { throttle: Throttle::new(limits), now: Instant::now() }
    }

    fn fail(&mut self, source: u32) -> Verdict {
        self.throttle.failed(Source::V4(source), self.now)
    }

    fn fail_shared(&mut self, source: u32) -> Verdict {
        self.throttle.failed_shared(Source::V4(source), self.now)
    }

    fn succeed(&mut self, source: u32) {
        self.throttle.succeeded(Source::V4(source), self.now);
    }

    fn is_locked_out(&self, source: u32) -> bool {
        self.throttle.is_locked_out(Source::V4(source), self.now)
    }
}

#[test]
fn a_guessing_source_is_delayed_and_then_locked_out_alone() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..4 {
        assert_eq!(bench.fail(1), Verdict::Answer);
    }
    for delay in [100, 200, 400, 800, 1600] {
        assert_eq!(bench.fail(1), Verdict::Delay(Duration::from_millis(delay)));
    }
    assert!(!bench.is_locked_out(1));
    assert_eq!(bench.fail(1), Verdict::LockOut(SECOND));
    assert!(bench.is_locked_out(1));
    assert!(!bench.is_locked_out(2));
    assert_eq!(bench.fail(2), Verdict::Answer);
}

#[test]
fn each_lock_out_is_twice_as_long_up_to_the_longest() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..9 {
        bench.fail(1);
    }
    for lasts in [1, 2, 4, 8, 16, 32, 60, 60] {
        let lasts = SECOND * lasts;
        assert_eq!(bench.fail(1), Verdict::LockOut(lasts));
        bench.now += lasts - Duration::from_millis(1);
        assert_eq!(
            bench.fail(1),
            Verdict::LockedOut,
            "a guess during a lock-out does not extend it"
        );
        assert!(bench.is_locked_out(1));
        bench.now += Duration::from_millis(1);
        assert!(!bench.is_locked_out(1));
    }
}

#[test]
fn a_quiet_source_is_forgotten() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..10 {
        bench.fail(1);
    }
    bench.now += SECOND + LIMITS.max_lockout - Duration::from_millis(1);
    assert_eq!(bench.fail(1), Verdict::LockOut(SECOND * 2));
    bench.now += SECOND * 2 + LIMITS.max_lockout;
    assert_eq!(bench.fail(1), Verdict::Answer);
}

#[test]
fn a_right_password_halves_the_counted_failures() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..9 {
        bench.fail(1);
    }
    bench.succeed(1);
    assert_eq!(bench.fail(1), Verdict::Delay(Duration::from_millis(100)), "the fifth");
    for _ in 0..3 {
        bench.succeed(1);
    }
    assert!(bench.throttle.is_empty());
    for _ in 0..10 {
        bench.fail(1);
    }
    for _ in 0..10 {
        bench.succeed(1);
    }
    assert!(bench.is_locked_out(1), "a lock-out lasts its time");
}

#[test]
fn without_lock_outs_replies_are_only_delayed() {
    let mut bench = Bench::new(ThrottleLimits { lockout: Duration::ZERO, ..LIMITS });
    for _ in 0..100 {
        bench.fail(1);
    }
    assert_eq!(bench.fail(1), Verdict::Delay(Throttle::LONGEST_DELAY));
    assert!(!bench.is_locked_out(1));
}

#[test]
fn a_full_throttle_table_removes_the_quietest_sources_but_no_locked_out_ones() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..15 {
        bench.now += SECOND * 32;
        bench.fail(0);
    }
    assert!(bench.is_locked_out(0));
    for source in 1..Throttle::MAX_SOURCES as u32 {
        bench.now += Duration::from_micros(10);
        bench.fail(source);
    }
    assert_eq!(bench.throttle.len(), Throttle::MAX_SOURCES);
    assert_eq!(bench.fail(u32::MAX), Verdict::Answer, "the source is recorded");
    let left = bench.throttle.len();
    assert!((Throttle::MAX_SOURCES / 2..Throttle::MAX_SOURCES).contains(&left), "{left} left");
    assert!(bench.is_locked_out(0));
    // The fifth wrong password is the first that is delayed.
    let mut knows = |source| (0..4).map(|_| bench.fail(source)).last() != Some(Verdict::Answer);
    assert!(!knows(1), "the quietest source was removed");
    assert!(knows(Throttle::MAX_SOURCES as u32 - 1));
}

#[test]
fn a_throttle_table_full_of_locked_out_sources_delays_all_others() {
    let mut bench = Bench::new(ThrottleLimits { failures: 1, ..LIMITS });
    for source in 0..Throttle::MAX_SOURCES as u32 {
        assert_eq!(bench.fail(source), Verdict::LockOut(SECOND));
    }
    for source in 0..10 {
        assert_eq!(bench.fail(u32::MAX - source), Verdict::Delay(Throttle::LONGEST_DELAY));
    }
    assert_eq!(bench.throttle.len(), Throttle::MAX_SOURCES);
    assert!((0..Throttle::MAX_SOURCES as u32).all(|source| bench.is_locked_out(source)));
    bench.now += SECOND;
    assert_eq!(bench.fail(u32::MAX), Verdict::LockOut(SECOND), "there is room again");
}

#[test]
fn a_shared_source_is_delayed_and_never_locked_out() {
    let mut bench = Bench::new(LIMITS);
    for _ in 0..4 {
        assert_eq!(bench.fail_shared(1), Verdict::Answer);
    }
    let delays = [100, 200, 400, 800, 1600, 2000, 2000, 2000];
    for delay in delays {
        assert_eq!(bench.fail_shared(1), Verdict::Delay(Duration::from_millis(delay)));
        assert!(!bench.is_locked_out(1));
    }
    assert_eq!(bench.fail_shared(2), Verdict::Answer, "another one");
}

#[test]
fn delayed_replies_to_a_shared_source_are_limited() {
    let mut bench = Bench::new(ThrottleLimits { failures: 1, ..LIMITS });
    let is_delayed = |verdict| matches!(verdict, Verdict::Delay(_));
    for _ in 0..Throttle::MAX_DELAYED {
        assert!(is_delayed(bench.fail_shared(1)));
    }
    assert_eq!(bench.fail_shared(1), Verdict::Crowded);
    assert!(is_delayed(bench.fail_shared(2)), "another one");
    bench.throttle.answered(Source::V4(1));
    assert!(is_delayed(bench.fail_shared(1)));
    assert_eq!(bench.fail_shared(1), Verdict::Crowded);
}

#[test]
fn a_lock_out_ends_when_its_source_becomes_shared() {
    let mut bench = Bench::new(ThrottleLimits { failures: 1, ..LIMITS });
    assert_eq!(bench.fail(1), Verdict::LockOut(SECOND));
    assert!(matches!(bench.fail_shared(1), Verdict::Delay(_)));
    assert!(!bench.is_locked_out(1));
}
