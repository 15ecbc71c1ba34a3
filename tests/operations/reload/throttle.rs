//! Reloads that change the cost of wrong passwords.

use super::change;
use super::limits::{closed_for, with};
use support::frame::request;
use support::{Redis, Redoubt};

/// Starts a Redoubt in which wrong passwords from this machine count, but lock nobody out.
fn counting() -> (Redis, Redoubt) {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set("throttle.exempt", "[]").set("throttle.failures", 1000);
    (redis, setup.start())
}

fn guess(redoubt: &Redoubt) -> Vec<u8> {
    let mut wire = redoubt.connect();
    wire.offer(&[request(&["AUTH", "wrong"]), request(&["QUIT"])].concat());
    wire.read_to_close()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_the_failures_before_a_lock_out() {
    let (_redis, mut redoubt) = counting();
    assert!(guess(&redoubt).starts_with(b"-WRONGPASS"));
    change(&mut redoubt, "throttle.failures", "2");
    assert_eq!(guess(&redoubt), b"", "the second locks out");
    closed_for(&redoubt, "locked_out");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_the_duration_of_lock_outs() {
    for key in ["throttle.lockout", "throttle.max_lockout"] {
        let redis = Redis::start();
        let setup = Redoubt::setup(&redis).set("throttle.exempt", "[]").set("throttle.failures", 1);
        let mut redoubt = setup.set_text(key, "0s").start();
        assert!(guess(&redoubt).starts_with(b"-WRONGPASS"), "{key}");
        change(&mut redoubt, key, "\"60s\"");
        assert_eq!(guess(&redoubt), b"", "{key}");
        assert_eq!(redoubt.connect().read_to_close(), b"", "{key}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_exempt_networks() {
    let (_redis, mut redoubt) = with("throttle.failures", "1");
    let mut before = redoubt.connect();
    assert!(guess(&redoubt).starts_with(b"-WRONGPASS"));
    change(&mut redoubt, "throttle.exempt", "[]");
    // A client that connected before the change is no exception any more either.
    before.offer(&request(&["AUTH", "wrong"]));
    assert_eq!(before.read_to_close(), b"");
    assert_eq!(redoubt.connect().read_to_close(), b"");
    change(&mut redoubt, "throttle.exempt", "[\"127.0.0.1\"]");
    assert!(guess(&redoubt).starts_with(b"-WRONGPASS"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_shared_networks() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set("throttle.exempt", "[]").set("throttle.failures", 1);
    let mut redoubt = setup.set_text("throttle.lockout", "1h").start();
    assert_eq!(guess(&redoubt), b"");
    assert_eq!(redoubt.connect().read_to_close(), b"");
    change(&mut redoubt, "throttle.shared", "[\"127.0.0.1\"]");
    assert!(guess(&redoubt).starts_with(b"-WRONGPASS"), "the address is not locked out any more");
    change(&mut redoubt, "throttle.shared", "[]");
    assert_eq!(guess(&redoubt), b"");
}
