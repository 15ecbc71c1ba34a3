//! Links: how few there are, and what happens when they end.

use super::{requests, shared};
use support::{Deadline, Redoubt, frame, signal};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_5_a_dead_link_closes_only_sessions_with_pending_replies() {
    let (mut redis, redoubt) = shared();
    let mut idle: Vec<_> = (0..5).map(|_| redoubt.session()).collect();
    let mut owed: Vec<_> = (0..3).map(|_| redoubt.session()).collect();
    for wire in idle.iter_mut().chain(&mut owed) {
        assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n");
    }
    signal(redis.pid(), "STOP");
    for wire in &mut owed {
        wire.send(&requests(&["INCR n", "CONFIG GET x", "INCR n"]));
    }
    // Redoubt still answers what it answers itself.
    assert!(idle[0].command(&["CONFIG"]).starts_with(b"-ERR unknown command"));
    redis.kill();
    for wire in &mut owed {
        assert_eq!(wire.read_to_close(), b"", "a session with a pending reply is closed");
    }
    redis.restart();
    assert_eq!(idle[0].command(&["GET", "n"]), b"$-1\r\n", "nothing was sent again");
    for wire in &mut idle {
        assert_eq!(wire.command(&["PING"]), b"+PONG\r\n", "sessions continue on a new link");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_5_no_request_is_sent_twice_while_links_are_killed() {
    const SESSIONS: usize = 6;
    let (redis, redoubt) = shared();
    // By then the credentials of links are known.
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let counters: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let (redoubt, done) = (&redoubt, &done);
                scope.spawn(move || count(redoubt, number, done))
            })
            .collect();
        let mut direct = redis.direct();
        for _ in 0..40 {
            direct.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            // Some work is done between one kill and the next.
            for _ in 0..300 {
                direct.command(&["PING"]);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for (number, counter) in counters.into_iter().enumerate() {
            let (asked, reported) = counter.join().expect("consecutive numbers");
            let key = format!("counter:{number}");
            let got = String::from_utf8(redis.direct().command(&["GET", &key])).unwrap();
            let real: u64 = got.lines().nth(1).unwrap().parse().unwrap();
            assert!(
                reported <= real && real <= asked,
                "{reported} told, {real} counted, {asked} asked"
            );
        }
    });
}

/// Increments a counter, one connection after another. Returns how often it sent a request, and the
/// last number that it received.
fn count(redoubt: &Redoubt, number: usize, done: &std::sync::atomic::AtomicBool) -> (u64, u64) {
    let request = frame::request(&["INCR", &format!("counter:{number}")]);
    let (mut asked, mut reported) = (0_u64, 0_u64);
    while !done.load(std::sync::atomic::Ordering::Relaxed) {
        let mut wire = redoubt.connect();
        wire.offer(&frame::request(&["AUTH", redoubt.password()]));
        wire.expect(b"+OK\r\n");
        let lost = asked - reported;
        let mut first = true;
        'connection: while !done.load(std::sync::atomic::Ordering::Relaxed) {
            asked += 3;
            wire.offer(&request.repeat(3));
            for _ in 0..3 {
                while frame::length(wire.received()).is_none() {
                    if wire.receive() == 0 {
                        break 'connection;
                    }
                }
                let reply = String::from_utf8(wire.frame()).unwrap();
                let value: u64 = reply.trim_start_matches(':').trim().parse().unwrap();
                // Of the requests without a reply, some may have run, and none twice.
                let most = reported + 1 + if first { lost } else { 0 };
                assert!(value > reported && value <= most, "{value} after {reported}");
                first = false;
                reported = value;
            }
        }
    }
    (asked, reported)
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_6_unneeded_leases_are_closed() {
    let (redis, redoubt) = shared();
    let mut wires: Vec<_> = (0..90).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        assert_eq!(wire.command(&["WATCH", "k"]), b"+OK\r\n");
    }
    assert!(redis.clients() >= 90);
    for wire in &mut wires {
        assert_eq!(wire.command(&["UNWATCH"]), b"+OK\r\n");
    }
    // A pool of 64, a shared link, and the watch.
    assert!(Deadline::standard().poll(|| redis.clients() <= 66), "{} stay", redis.clients());
}
