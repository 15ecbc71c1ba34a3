//! A lease of one session is clean for the next.

use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;

use super::{requests, shared};
use support::bench::assert_bytes;
use support::{Deadline, Redis, Redoubt, Wire, frame, lines, shown, target_is_redis};

/// Ways to leave state behind.
const WAYS: [&[&str]; 15] = [
    &["WATCH k"],
    &["MULTI", "SET k nearly_valid"],
    &["WATCH k", "EXEC"],
    &["MULTI", "SELECT 3", "EXEC"],
    &["MULTI", "CLIENT SETNAME left", "EXEC"],
    &["MULTI", "HELLO 3", "EXEC"],
    &["MULTI", "DISCARD wrong"],
    &["SUBSCRIBE c", "PSUBSCRIBE p*"],
    &["SSUBSCRIBE s"],
    &["HELLO 3", "CLIENT TRACKING on", "GET k"],
    &["HELLO 3", "SUBSCRIBE c", "GET k"],
    &["SELECT 5", "BLPOP none 0.001"],
    &["CLIENT SETNAME left", "BLPOP none 0.001"],
    &["CLIENT REPLY OFF", "WATCH k"],
    &["CLIENT NO-EVICT on", "CLIENT ID"],
];

/// Checks that a session which gets a lease finds nothing of others on it.
fn assert_lease_is_fresh(redoubt: &Redoubt) {
    let mut wire = redoubt.session();
    wire.send(&requests(&["WATCH mine", "GET k", "CLIENT GETNAME", "MULTI", "GET k", "EXEC"]));
    wire.expect(b"+OK\r\n$1\r\nv\r\n$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
}

#[test]
fn invariant_4_a_lease_is_clean_or_closed() {
    let (redis, redoubt) = shared();
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
    for way in WAYS {
        let mut dirty: Vec<Wire> = (0..3).map(|_| redoubt.session()).collect();
        for wire in &mut dirty {
            wire.send(&requests(way));
            // Any reply shows that the request has been answered.
            if !way[0].starts_with("CLIENT REPLY") {
                wire.send(&requests(&["PING"]));
                while !wire.received().ends_with(b"PONG\r\n")
                    && !wire.received().ends_with(b"+QUEUED\r\n")
                    && !wire.received().ends_with(b"$4\r\npong\r\n$0\r\n\r\n")
                {
                    wire.receive();
                }
            }
        }
        drop(dirty.pop());
        assert_lease_is_fresh(&redoubt);
        drop(dirty);
        for _ in 0..3 {
            assert_lease_is_fresh(&redoubt);
        }
    }
    if target_is_redis() {
        return;
    }
    // Redis itself reports no state on the links that Redoubt keeps.
    let clean = Deadline::standard().poll(|| {
        let list = String::from_utf8(redis.direct().command(&["CLIENT", "LIST"])).unwrap();
        let kept = list
            .lines()
            .filter(|line| line.starts_with("id=") && !line.contains("cmd=client|list"));
        kept.clone().count() > 0
            && kept.into_iter().all(|line| {
                ["sub=0 ", "psub=0 ", "ssub=0 ", "multi=-1 "].iter().all(|sign| line.contains(sign))
                    && !line.contains("flags=x")
                    && !line.contains("flags=t")
            })
    });
    assert!(clean, "{}", shown(&redis.direct().command(&["CLIENT", "LIST"])));
}

#[test]
fn invariant_4_watches_of_many_sessions_do_not_mix() {
    const ROUNDS: usize = 60;
    let (_redis, redoubt) = shared();
    let mut plain = redoubt.session();
    assert_eq!(plain.command(&["SET", "n", "0"]), b"+OK\r\n");
    // Many sessions run the optimistic loop of client libraries: no increment is lost.
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| {
                let redoubt = &redoubt;
                scope.spawn(move || {
                    let mut wire = redoubt.session();
                    for _ in 0..ROUNDS {
                        while !increment(&mut wire) {}
                    }
                })
            })
            .collect();
        for one in all {
            one.join().unwrap();
        }
    });
    let total = (6 * ROUNDS).to_string();
    assert_eq!(plain.command(&["GET", "n"]), frame::bulk(total.as_bytes()));
}

/// Adds one to `n`, unless another session has changed it meanwhile.
fn increment(wire: &mut Wire) -> bool {
    assert_eq!(wire.command(&["WATCH", "n"]), b"+OK\r\n");
    let got = wire.command(&["GET", "n"]);
    let text = std::str::from_utf8(&got).unwrap().lines().nth(1).unwrap();
    let next = (text.parse::<u64>().unwrap() + 1).to_string();
    wire.send(&requests(&["MULTI", &format!("SET n {next}"), "EXEC"]));
    wire.expect(b"+OK\r\n+QUEUED\r\n");
    match &wire.frame()[..] {
        b"*-1\r\n" => false,
        done => {
            assert_eq!(done, b"*1\r\n+OK\r\n");
            true
        }
    }
}

#[test]
fn invariant_4_no_value_is_popped_for_a_client_that_has_left() {
    let (redis, redoubt) = shared();
    let behind = redoubt.stand_in().unwrap_or(&redis);
    for round in 0..10 {
        let mut blocked = redoubt.session();
        blocked.send(&requests(&["GET k", "BLPOP queue 0"]));
        wait_for_blocked(behind, 1);
        if round % 2 == 0 {
            blocked.finish();
        }
        drop(blocked);
        wait_for_blocked(behind, 0);
        let mut worker = redoubt.session();
        let job = format!("job{round}");
        assert_eq!(worker.command(&["RPUSH", "queue", &job]), b":1\r\n");
        assert_eq!(worker.command(&["LPOP", "queue"]), frame::bulk(job.as_bytes()));
    }
}

#[test]
fn a_client_that_leaves_ends_its_blocking_command_although_more_requests_wait_behind_it() {
    let (redis, redoubt) = shared();
    let behind = redoubt.stand_in().unwrap_or(&redis);
    // RESET waits for the reply of BLPOP, so the client's socket is not read meanwhile.
    let waiting = requests(&["RESET", "SET k v"]);
    for more in [waiting.clone(), waiting.repeat(500)] {
        let leave: [fn(&Wire); 3] = [
            |_| {},
            |wire| wire.stream().shutdown(Shutdown::Write).unwrap(),
            |wire| SockRef::from(wire.stream()).set_linger(Some(Duration::ZERO)).unwrap(),
        ];
        for leave in leave {
            let mut blocked = redoubt.session();
            blocked.send(&requests(&["BLPOP queue 0"]));
            wait_for_blocked(behind, 1);
            blocked.send(&more);
            leave(&blocked);
            drop(blocked);
            wait_for_blocked(behind, 0);
            let mut other = redoubt.session();
            assert_eq!(other.command(&["RPUSH", "queue", "job"]), b":1\r\n");
            assert_eq!(other.command(&["LPOP", "queue"]), b"$3\r\njob\r\n");
            assert_eq!(other.command(&["GET", "k"]), b"$-1\r\n", "what was behind is not run");
        }
    }
}

#[test]
fn a_half_closed_client_is_closed_although_its_blocking_command_has_no_reply() {
    let (redis, redoubt) = shared();
    let behind = redoubt.stand_in().unwrap_or(&redis);
    let mut blocked = redoubt.session();
    blocked.send(&requests(&["BLPOP queue 0", "RESET"]));
    wait_for_blocked(behind, 1);
    blocked.finish();
    assert_bytes(&blocked.read_to_close(), b"");
    wait_for_blocked(behind, 0);
}

#[test]
fn a_blocking_command_is_answered_although_more_requests_wait_behind_it() {
    let (redis, redoubt) = shared();
    let behind = redoubt.stand_in().unwrap_or(&redis);
    let mut blocked = redoubt.session();
    blocked.send(&requests(&["BLPOP queue 0", "RESET", "PING"]));
    wait_for_blocked(behind, 1);
    // Once another client is known to have gone, this one has been looked at too.
    let mut other = redoubt.session();
    other.send(&requests(&["BLPOP other 0", "RESET", "PING"]));
    wait_for_blocked(behind, 2);
    drop(other);
    wait_for_blocked(behind, 1);
    assert_eq!(redoubt.session().command(&["RPUSH", "queue", "job"]), b":1\r\n");
    blocked.expect(b"*2\r\n$5\r\nqueue\r\n$3\r\njob\r\n+RESET\r\n-NOAUTH");
}

fn wait_for_blocked(redis: &Redis, count: usize) {
    let wanted = format!("\r\nblocked_clients:{count}\r\n");
    let mut direct = redis.direct();
    let come = Deadline::standard()
        .poll(|| String::from_utf8_lossy(&direct.command(&["INFO", "clients"])).contains(&wanted));
    assert!(come, "never {count} blocked clients");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_6_a_session_over_the_lease_limit_gets_an_error_and_is_closed() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("upstream.max_links", 8).start();
    let mut holders: Vec<Wire> = (0..3).map(|_| redoubt.session()).collect();
    for holder in &mut holders {
        assert_eq!(holder.command(&["WATCH", "k"]), b"+OK\r\n");
    }
    let mut late = redoubt.session();
    assert_eq!(late.command(&["PING"]), b"+PONG\r\n", "a session without a lease is served");
    late.send(&requests(&["GET k", "BLPOP k 0", "PING"]));
    assert_eq!(late.read_to_close(), b"$-1\r\n-ERR max number of clients reached\r\n");
    let said = redoubt.log().wait(|line| lines::field(line, "reason") == Some("no_lease"));
    assert!(said.is_some(), "the log does not say why");
    assert_eq!(holders[0].command(&["UNWATCH"]), b"+OK\r\n");
    let mut next = redoubt.session();
    assert_eq!(next.command(&["BLPOP", "k", "0.01"]), b"*-1\r\n");
    assert_eq!(next.command(&["WATCH", "k"]), b"+OK\r\n");
    // A session that is cut off gives up its lease too.
    drop(next);
    let free = Deadline::after(Duration::from_secs(10)).poll(|| {
        let mut wire = redoubt.session();
        wire.offer(&requests(&["WATCH k", "QUIT"]));
        wire.read_to_close() == b"+OK\r\n+OK\r\n"
    });
    assert!(free, "its lease is lost");
}
