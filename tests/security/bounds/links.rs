//! The number of connections that Redis has.

use support::{Redis, Redoubt, Wire, frame};

const MIB: usize = 1 << 20;

/// Checks that an honest client gets replies to two plain requests and a request on a lease.
fn is_served(wire: &mut Wire) {
    assert_eq!(wire.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(wire.command(&["GET", "k"]), frame::bulk(b"v"));
    assert_eq!(wire.command(&["BLPOP", "nothing", "0.01"]), b"*-1\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn slow_readers_leave_links_to_others() {
    const LINKS: usize = 16;
    let redis = Redis::start();
    redis.direct().command(&["SETRANGE", "big", &(8 * MIB).to_string(), "x"]);
    let redoubt = Redoubt::setup(&redis).set("upstream.max_links", LINKS).start();
    let mut other = redoubt.session();
    let mut slow = Vec::new();
    for _ in 0..60 {
        let mut wire = redoubt.session();
        wire.send(&frame::request(&["GET", "big"]).repeat(2));
        slow.push(wire);
        is_served(&mut other);
        // One of the connections is the test's own.
        let links = redis.clients() - 1;
        assert!(links <= LINKS, "{links} connections with {} slow readers", slow.len());
    }
    let mut late = redoubt.session();
    is_served(&mut late);
    // Each either gets its reply or has been closed for its slowness.
    let reply = 8 * MIB + 1 + b"$8388609\r\n\r\n".len();
    for wire in &mut slow {
        wire.finish();
        let got = wire.read_to_close().len();
        assert!(got <= 2 * reply, "{got} bytes");
    }
    is_served(&mut other);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_worker_can_use_link_places_that_another_does_not_use() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("workers", 2).set("upstream.max_links", 12).start();
    // Each session goes to the worker with the fewest sessions, so they alternate between the two
    // workers.
    let mut sessions: Vec<_> = (0..14).map(|_| redoubt.session()).collect();
    for session in sessions.iter_mut().step_by(2) {
        assert_eq!(session.command(&["WATCH", "k"]), b"+OK\r\n");
    }
    assert_eq!(
        sessions[1].command(&["GET", "k"]),
        b"$-1\r\n",
        "a place is kept for plain requests"
    );
    sessions[3].send(&frame::request(&["WATCH", "k"]));
    assert_eq!(sessions[3].read_to_close(), b"-ERR max number of clients reached\r\n");
    // A place is free for either worker as soon as its session has ended.
    drop(sessions.remove(0));
    redoubt.metric_becomes("redoubt_leases", 6.0);
    let mut next = redoubt.session();
    assert_eq!(next.command(&["WATCH", "k"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn without_max_links_the_limit_is_that_of_redis_minus_a_reserve() {
    let redis = Redis::setup().config("maxclients 100").start();
    let redoubt = Redoubt::start(&redis);
    redoubt.metric_becomes("redoubt_links_max", 80.0);
}
