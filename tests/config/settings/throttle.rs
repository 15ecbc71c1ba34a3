//! The section `throttle`.

use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, Wire};

const GUESSER: [u8; 4] = [127, 0, 0, 9];

fn setup(redis: &Redis) -> Setup {
    Redoubt::setup(redis).set("throttle.exempt", "[]")
}

fn asks(redoubt: &Redoubt, password: &str) -> Vec<u8> {
    let mut wire = Wire::connect_from(GUESSER, redoubt.address());
    wire.offer(&super::frame::request(&["AUTH", password]));
    wire.receive();
    wire.received().to_vec()
}

/// Returns true if the right password is rejected after `guesses` wrong ones.
fn locks_out_after(redoubt: &Redoubt, guesses: usize) -> bool {
    for _ in 0..guesses {
        asks(redoubt, "wrong");
    }
    asks(redoubt, redoubt.password()) != b"+OK\r\n"
}

#[test]
fn failures_takes_effect() {
    let redis = Redis::start();
    let redoubt = setup(&redis).set("throttle.failures", 2).set_text("throttle.lockout", "1h");
    let redoubt = redoubt.set_text("throttle.max_lockout", "1h").start();
    assert!(locks_out_after(&redoubt, 2));
    let redoubt = setup(&redis).set("throttle.failures", 9).start();
    assert!(!locks_out_after(&redoubt, 2));
}

#[test]
fn lockout_takes_effect() {
    let redis = Redis::start();
    let of = |lockout| {
        let redoubt =
            setup(&redis).set("throttle.failures", 2).set_text("throttle.lockout", lockout);
        redoubt.set_text("throttle.max_lockout", "1h").start()
    };
    assert!(!locks_out_after(&of("0s"), 3));
    assert!(locks_out_after(&of("1h"), 3));
}

#[test]
fn max_lockout_takes_effect() {
    let redis = Redis::start();
    let redoubt = setup(&redis).set("throttle.failures", 2).set_text("throttle.lockout", "1h");
    let redoubt = redoubt.set_text("throttle.max_lockout", "1s").start();
    locks_out_after(&redoubt, 2);
    // The lock-out does not last an hour.
    assert!(Deadline::standard().poll(|| asks(&redoubt, redoubt.password()) == b"+OK\r\n"));
}

#[test]
fn exempt_takes_effect() {
    let redis = Redis::start();
    let of = |exempt| {
        let setup = Redoubt::setup(&redis).set("throttle.exempt", exempt);
        let setup = setup.set("throttle.failures", 2).set_text("throttle.lockout", "1h");
        setup.set_text("throttle.max_lockout", "1h").start()
    };
    assert!(locks_out_after(&of("[\"127.0.0.1\"]"), 3));
    assert!(!locks_out_after(&of("[\"127.0.0.0/24\"]"), 3));
}

#[test]
fn shared_takes_effect() {
    let redis = Redis::start();
    let of = |shared| {
        let setup = setup(&redis).set("throttle.shared", shared).set("throttle.failures", 2);
        setup.set_text("throttle.lockout", "1h").set_text("throttle.max_lockout", "1h").start()
    };
    assert!(locks_out_after(&of("[\"127.0.0.1\"]"), 3));
    assert!(!locks_out_after(&of("[\"127.0.0.0/24\"]"), 3));
}
