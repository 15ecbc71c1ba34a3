//! Which clients can reach a link, and which clients a reply can reach.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{requests, shared};
use support::{Deadline, Redis, Wire, frame, shown, target_is_redis};

/// Returns Redis's MONITOR: all commands from now on.
fn monitor(redis: &Redis) -> Wire {
    let mut wire = redis.direct();
    assert_eq!(wire.command(&["MONITOR"]), b"+OK\r\n");
    wire
}

/// Returns the output of MONITOR up to `last`.
fn seen_until(monitor: &mut Wire, last: &str) -> String {
    loop {
        let seen = String::from_utf8_lossy(monitor.received()).into_owned();
        if seen.contains(last) {
            return seen;
        }
        assert!(monitor.receive() > 0);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_1_no_byte_of_an_unauthenticated_session_reaches_a_link() {
    let (redis, redoubt) = shared();
    // A shared link is open and in use.
    let mut honest = redoubt.session();
    assert_eq!(honest.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut monitor = monitor(&redis);
    let large = format!("*2\r\n$4\r\nECHO\r\n$100000\r\ncanary{}", "x".repeat(100_000));
    let attempts: Vec<Vec<u8>> = vec![
        requests(&["ECHO canary", "SET canary canary", "GET canary"]),
        requests(&["MULTI", "SET canary 1", "EXEC", "SUBSCRIBE canary", "EVAL canary 0"]),
        requests(&["AUTH canary", "HELLO 3 AUTH canary canary SETNAME canary", "HELLO canary"]),
        requests(&["canary.command", "RESET", "ECHO canary", "BLPOP canary 0", "WAIT 1 canary"]),
        b"ECHO canary\r\nSELECT canary\r\ncanary\r\n".to_vec(),
        b"*3\r\n$3\r\nSET\r\n$6\r\ncanary\r\n$6\r\ncan".to_vec(),
        large.into_bytes(),
        [frame::request(&["AUTH", "wrong"]), b"*1\r\n+canary\r\n".to_vec()].concat(),
        b"POST /canary HTTP/1.1\r\nHost: canary\r\n\r\n".to_vec(),
    ];
    for bytes in &attempts {
        for step in [1, 7, bytes.len()] {
            if step == 1 && bytes.len() > 10_000 {
                continue;
            }
            let mut unauthenticated = redoubt.connect();
            unauthenticated.exchange(bytes, step, true, |_| false);
            assert_eq!(honest.command(&["GET", "k"]), frame::bulk(b"v"));
        }
    }
    // A client sends requests before and after its right AUTH: only the later ones are forwarded.
    let mut late = redoubt.connect();
    late.send(&requests(&["ECHO canary"]));
    late.send(&frame::request(&["AUTH", redoubt.password()]));
    late.send(&requests(&["ECHO sparrow"]));
    late.expect(b"-NOAUTH Authentication required.\r\n+OK\r\n$7\r\nsparrow\r\n");
    honest.command(&["ECHO", "the end"]);
    let seen = seen_until(&mut monitor, "the end");
    assert!(seen.contains("sparrow"));
    assert!(!seen.contains("canary"), "{seen}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_1_no_byte_of_a_session_after_reset_reaches_a_link() {
    let (redis, redoubt) = shared();
    let mut monitor = monitor(&redis);
    let mut session = redoubt.session();
    for state in ["GET k", "WATCH k", "MULTI", "SUBSCRIBE c"] {
        session.send(&requests(&[state, "RESET", "ECHO canary", "PUBLISH canary canary"]));
        session.send(&frame::request(&["AUTH", redoubt.password()]));
        session.send(&requests(&["ECHO again"]));
        while !session.received().ends_with(b"again\r\n") {
            session.receive();
        }
        let count = session.received().len();
        let heard = session.received().to_vec();
        assert_eq!(
            heard.windows(7).filter(|part| part == b"-NOAUTH").count(),
            2,
            "{}",
            shown(&heard)
        );
        session.expect(&heard[..count]);
    }
    session.command(&["ECHO", "the end"]);
    assert!(!seen_until(&mut monitor, "the end").contains("canary"));
}

#[test]
fn invariant_3_sessions_that_leave_with_pending_replies_affect_no_other() {
    let (redis, redoubt) = shared();
    let mut setter = redoubt.session();
    let secret = "secret".repeat(2000);
    assert_eq!(setter.command(&["SET", "secret", &secret]), b"+OK\r\n");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let witnesses: Vec<_> = (0..4)
            .map(|number| {
                let (done, redoubt) = (&done, &redoubt);
                scope.spawn(move || {
                    let mut wire = redoubt.session();
                    let mut count = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let words: Vec<_> =
                            (0..5).map(|i| format!("{number}:{count}:{i}")).collect();
                        for word in &words {
                            wire.send(&frame::request(&["ECHO", word]));
                        }
                        for word in &words {
                            wire.expect(&frame::bulk(word.as_bytes()));
                        }
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..150 {
            let leaver = redoubt.session();
            let mut stream = leaver.stream();
            let kind =
                ["GET secret", "EVAL return{redis.call('GET','secret')} 0", "MULTI"][round % 3];
            stream.write_all(&requests(&[kind, "GET secret"]).repeat(20)).unwrap();
            // Some clients go at once, some in the middle of their replies; unread bytes make it a
            // reset.
            if round % 2 == 0 {
                stream.read_exact(&mut [0; 3]).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        for witness in witnesses {
            assert!(witness.join().expect("its own replies only") > 0);
        }
    });
    if !target_is_redis() {
        let few = Deadline::after(Duration::from_secs(10)).poll(|| redis.clients() <= 20);
        assert!(few, "{} connections stay behind", redis.clients());
    }
}

#[test]
fn invariant_8_a_refused_command_in_a_transaction_makes_exec_abort() {
    let (_redis, redoubt) = shared();
    let mut session = redoubt.session();
    let mut other = redoubt.session();
    for refused in ["FLUSHALL", "flushdb async", "CONFIG SET maxmemory 1", "DeBuG sleep 0"] {
        for large in [false, true] {
            let mut said = requests(&["MULTI", "SET k nearly_valid"]);
            let mut words: Vec<_> = refused.split(' ').map(str::to_owned).collect();
            if large {
                words.push("x".repeat(100_000));
            }
            said.extend(frame::request(&words));
            said.extend(requests(&["SET k nearly_valid", "EXEC", "GET k"]));
            assert!(session.exchange(&said, said.len(), false, |got| got.ends_with(b"$-1\r\n")));
            let heard = String::from_utf8_lossy(session.received()).into_owned();
            let lines: Vec<_> = heard.lines().collect();
            let [ok, one, error, two, abort, nil] = lines[..] else { panic!("{heard}") };
            assert_eq!([ok, one, two, nil], ["+OK", "+QUEUED", "+QUEUED", "$-1"]);
            assert!(error.starts_with("-ERR unknown command '"), "{error}");
            assert_eq!(abort, "-EXECABORT Transaction discarded because of previous errors.");
            session.expect(heard.as_bytes());
            // Other sessions' transactions are not affected.
            other.send(&requests(&["MULTI", "PING", "EXEC"]));
            other.expect(b"+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
        }
    }
}
