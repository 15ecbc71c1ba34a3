//! A session that reads slowly, or not at all, delays no other session and loses nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::{Redis, Redoubt, Wire, frame, now, since, target_is_redis};

const MIB: usize = 1 << 20;
/// Most bytes by which Redoubt may grow in these tests.
const GROWTH: u64 = 160 << 20;

fn expect(mut stream: &TcpStream, wanted: &[u8], what: &str) {
    let mut got = vec![0; wanted.len()];
    stream.read_exact(&mut got).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == wanted, "{what} differs");
}

/// Each of these requests gets its reply soon.
fn ask_often(wire: &mut Wire, what: &str) {
    for number in 0..200 {
        let (asked, word) = (now(), number.to_string());
        assert_eq!(wire.command(&["ECHO", &word]), frame::bulk(word.as_bytes()));
        assert!(since(asked) < 5.0, "{what}: {} s for one reply", since(asked));
    }
}

#[test]
fn invariant_7_slow_readers_delay_no_other_and_lose_nothing() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut other = redoubt.session();
    let value: Vec<u8> = (0..20 * MIB).map(|i| (i / 7919) as u8).collect();
    assert_eq!(other.command(&[&b"SET"[..], b"large", &value]), b"+OK\r\n");
    let idle = redoubt.rss();
    let slow: Vec<Wire> = (0..3).map(|_| redoubt.session()).collect();
    for (number, wire) in slow.iter().enumerate() {
        wire.stream().write_all(&frame::request(&["GET", "large"])).unwrap();
        wire.stream().write_all(&frame::request(&["PING", "after"])).unwrap();
        ask_often(&mut other, &format!("beside {number} that do not read"));
    }
    if !target_is_redis() {
        let grown = redoubt.peak_rss().saturating_sub(idle);
        assert!(grown < GROWTH, "{} MiB above idle", grown >> 20);
    }
    let reply = [frame::bulk(&value), frame::bulk(b"after")].concat();
    for wire in &slow {
        expect(wire.stream(), &reply, "the replies to a slow reader");
    }
}

#[test]
fn invariant_7_a_naive_pipeliner_gets_all_its_replies() {
    const REQUESTS: usize = 100_000;
    // With a long key the requests alone are larger than all socket buffers between.
    for (sharing, length) in [("auto", 1), ("auto", 200), ("off", 200)] {
        let redis = Redis::start();
        let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
        let mut session = redoubt.session();
        let mut other = redoubt.session();
        let (key, value) = ("k".repeat(length), "v".repeat(100));
        assert_eq!(session.command(&["SET", &key, &value]), b"+OK\r\n");
        let idle = redoubt.rss();
        // It sends everything before it reads anything.
        session.stream().write_all(&frame::request(&["GET", &key]).repeat(REQUESTS)).unwrap();
        ask_often(&mut other, "beside a pipeliner");
        let reply = frame::bulk(value.as_bytes()).repeat(1000);
        for _ in 0..REQUESTS / 1000 {
            expect(session.stream(), &reply, "a thousand replies");
        }
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
        if !target_is_redis() {
            let grown = redoubt.peak_rss().saturating_sub(idle);
            assert!(grown < GROWTH, "{} MiB above idle, sharing {sharing}", grown >> 20);
        }
    }
}
