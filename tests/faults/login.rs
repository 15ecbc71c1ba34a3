//! Redis runs and rejects Redoubt's login.

use crate::{FAILED, UNAVAILABLE, assert_closed_unserved, lines_with, says};
use support::{Deadline, Redis, Redoubt, secret};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_password_change_in_redis_is_logged_and_recovers_when_undone() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "off").start();
    redoubt.wait_until_it_serves();
    let mut direct = redis.direct();
    let other = secret();
    assert_eq!(direct.command(&["CONFIG", "SET", "requirepass", &other]), b"+OK\r\n");
    // Links that are logged in stay logged in, so they are closed here, as a restart would do.
    direct.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    says(&redoubt, "WRONGPASS");
    assert_closed_unserved(&redoubt);
    redoubt.wait_until_unready();
    redoubt.wait_for_metric(UNAVAILABLE, 1.0);
    let own = redis.password();
    assert_eq!(direct.command(&["CONFIG", "SET", "requirepass", own]), b"+OK\r\n");
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    for line in redoubt.log().all() {
        assert!(!line.contains(own) && !line.contains(&other), "a password in the log");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn at_redis_client_limit_only_sessions_that_need_a_new_link_are_closed() {
    const FULL: &str = "max number of clients reached";
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_serves();
    let mut served = redoubt.session();
    assert_eq!(served.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut direct = redis.direct();
    let most = redis.clients().to_string();
    assert_eq!(direct.command(&["CONFIG", "SET", "maxclients", &most]), b"+OK\r\n");
    for _ in 0..20 {
        let mut blocking = redoubt.session();
        blocking.offer(b"BLPOP nothing 0\r\n");
        assert_eq!(blocking.read_to_close(), b"");
    }
    says(&redoubt, FULL);
    assert!(lines_with(&redoubt, FULL) <= 2, "the error is logged repeatedly");
    assert_eq!(served.command(&["GET", "k"]), b"$1\r\nv\r\n");
    redoubt.wait_for_metric(UNAVAILABLE, 20.0);
    redoubt.wait_for_metric(FAILED, 20.0);
    redoubt.wait_until_ready();
    assert_eq!(direct.command(&["CONFIG", "SET", "maxclients", "1000"]), b"+OK\r\n");
    let blocks = Deadline::standard().poll(|| {
        let mut blocking = redoubt.session();
        blocking.offer(b"BLPOP nothing 0.01\r\nQUIT\r\n");
        blocking.read_to_close() == b"*-1\r\n+OK\r\n"
    });
    assert!(blocks, "links can be opened again");
}
