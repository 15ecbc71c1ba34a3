//! The primary behind an address becomes a replica, and the address leads to the new primary.

use std::time::Duration;

use crate::{lines_with, says};
use support::forwarder::Forwarder;
use support::{Deadline, Redis, Redoubt, Wire};

const READONLY: &[u8] = b"-READONLY You can't write against a read only replica.\r\n";
const REPLACED: &str = "links are replaced";

/// Starts two servers with the same password, neither of which waits for further replicas.
fn pair() -> [Redis; 2] {
    let first = Redis::setup().config("repl-diskless-sync-delay 0").start();
    let second =
        Redis::setup().config("repl-diskless-sync-delay 0").password(first.password()).start();
    for redis in [&first, &second] {
        let set = redis.direct().command(&["CONFIG", "SET", "masterauth", redis.password()]);
        assert_eq!(set, b"+OK\r\n");
    }
    [first, second]
}

fn follow(redis: &Redis, primary: &Redis) {
    let port = primary.port().to_string();
    assert_eq!(redis.direct().command(&["REPLICAOF", "127.0.0.1", &port]), b"+OK\r\n");
}

/// Waits until `session` can write.
fn wait_until_it_writes(session: &mut Wire) {
    let writes = Deadline::standard().poll(|| {
        let reply = session.command(&["SET", "k", "v"]);
        assert!(reply == b"+OK\r\n" || reply == READONLY, "{}", support::shown(&reply));
        reply == b"+OK\r\n"
    });
    assert!(writes, "writes still go to the old primary");
}

fn fails_over(guard: &str) {
    let [old, new] = pair();
    let forwarder = Forwarder::new(old.address());
    let redoubt = Redoubt::setup_for(forwarder.port(), old.password())
        .set_text("policy.guard", guard)
        .start();
    redoubt.wait_until_it_serves();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "old"]), b"+OK\r\n");
    let (mut blocked, mut listens) = (redoubt.session(), redoubt.session());
    assert_eq!(blocked.command(&["BLPOP", "nothing", "0.01"]), b"*-1\r\n");
    let confirmed = listens.command(&["SUBSCRIBE", "c"]);
    assert_eq!(confirmed, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");

    follow(&old, &new);
    assert_eq!(session.command(&["SET", "k", "lost"]), READONLY);
    forwarder.lead_to(new.address());
    wait_until_it_writes(&mut session);
    assert_eq!(new.direct().command(&["GET", "k"]), b"$1\r\nv\r\n");
    let mut fresh = redoubt.session();
    assert_eq!(fresh.command(&["SET", "k", "w"]), b"+OK\r\n");
    // No old link is taken from the pool, and no session ends because of it.
    for session in [&mut blocked, &mut fresh] {
        assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
        assert_eq!(session.command(&["INCR", "n"]), b"+QUEUED\r\n");
        assert!(session.command(&["EXEC"]).starts_with(b"*1\r\n:"));
    }
    let at_new = |wire: &mut Wire| wire.command(&["PUBLISH", "c", "m"]);
    assert_eq!(at_new(&mut new.direct()), b":0\r\n", "a listener stays where it is");
    says(&redoubt, REPLACED);
    redoubt.wait_until_ready();
    drop(listens);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_failover_of_the_upstream_address_closes_no_session() {
    fails_over("off");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn after_a_failover_a_new_guard_is_provisioned() {
    fails_over("auto");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_demoted_primary_is_noticed_without_a_write() {
    let [old, new] = pair();
    let forwarder = Forwarder::new(old.address());
    let setup = Redoubt::setup_for(forwarder.port(), old.password());
    let redoubt = setup.set_text("upstream.dead_after", "3s").start();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    forwarder.lead_to(new.address());
    follow(&old, &new);
    says(&redoubt, REPLACED);
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_script_that_returns_readonly_replaces_no_link() {
    let redis = Redis::start();
    let forwarder = Forwarder::new(redis.address());
    let redoubt = Redoubt::setup_for(forwarder.port(), redis.password()).start();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    let mut session = redoubt.session();
    let lie = ["EVAL", "return redis.error_reply('READONLY no')", "0"];
    assert_eq!(session.command(&lie), b"-READONLY no\r\n");
    let before = forwarder.connections();
    let deadline = Deadline::after(Duration::from_secs(1));
    while deadline.left().is_some() {
        assert_eq!(session.command(&lie), b"-READONLY no\r\n");
    }
    assert_eq!(forwarder.connections(), before, "new connections");
    assert_eq!(lines_with(&redoubt, REPLACED), 0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_lasting_replica_serves_reads_without_new_connections() {
    let [primary, replica] = pair();
    follow(&replica, &primary);
    assert_eq!(primary.direct().command(&["SET", "k", "v"]), b"+OK\r\n");
    let synced =
        Deadline::standard().poll(|| replica.direct().command(&["GET", "k"]) == b"$1\r\nv\r\n");
    assert!(synced, "the replica has no data");
    let forwarder = Forwarder::new(replica.address());
    let setup = Redoubt::setup_for(forwarder.port(), replica.password());
    let redoubt = setup.set_text("upstream.dead_after", "3s").start();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    let mut session = redoubt.session();
    let before = forwarder.connections();
    let deadline = Deadline::after(Duration::from_secs(4));
    while deadline.left().is_some() {
        assert_eq!(session.command(&["SET", "k", "w"]), READONLY);
        assert_eq!(session.command(&["GET", "k"]), b"$1\r\nv\r\n");
    }
    // The waits between checks double: checks follow 0, 0.2, 0.6, 1.4 and 3 seconds after the first.
    let looks = forwarder.connections() - before;
    assert!((1..=8).contains(&looks), "{looks} new connections in four seconds");
    assert_eq!(lines_with(&redoubt, REPLACED), 0);
}
