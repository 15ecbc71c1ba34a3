//! Limits on the size of a request, compared with Redis at its own limits.

use super::assert_closed_for;
use support::{Deadline, Redis, Redoubt, Wire, frame, shown, target_is_redis};

const MIB: usize = 1 << 20;
const KIB: usize = 1 << 10;

/// Returns the bytes that arrive after `said` until the other side closes.
fn last_words(wire: &mut Wire, said: &[u8]) -> Vec<u8> {
    wire.exchange(said, 64 * KIB, false, |_| false);
    wire.read_to_close()
}

#[test]
fn a_request_over_request_size_is_closed_as_by_redis() {
    let strict = Redis::setup().config("client-query-buffer-limit 1mb").start();
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.request_size", "1mb").start();
    let set = |size: usize| frame::request(&[&b"SET"[..], b"k", &vec![b'v'; size]]);
    for size in [60 * KIB, MIB - KIB] {
        for wire in &mut [strict.direct(), redoubt.session()] {
            wire.send(&set(size));
            assert_eq!(wire.frame(), b"+OK\r\n", "{size} bytes");
        }
    }
    let connected = redis.clients();
    for size in [MIB + KIB, 8 * MIB] {
        for wire in &mut [strict.direct(), redoubt.session()] {
            let said = last_words(wire, &set(size));
            assert_eq!(said, b"", "{size} bytes: {}", shown(&said));
        }
    }
    if target_is_redis() {
        return;
    }
    assert_closed_for(&redoubt, "request_too_large");
    // The links with half a request are closed, and no half was stored.
    assert!(Deadline::standard().poll(|| redis.clients() <= connected), "a link is left");
    let stored = redis.direct().command(&["STRLEN", "k"]);
    assert_eq!(stored, format!(":{}\r\n", MIB - KIB).as_bytes());
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}

#[test]
fn a_pipeline_may_be_larger_than_request_size() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.request_size", "1mb").start();
    let mut wire = redoubt.session();
    let one = frame::request(&["ECHO", &"x".repeat(1000)]);
    let echoed = frame::bulk("x".repeat(1000).as_bytes()).repeat(3000);
    assert!(wire.exchange(&one.repeat(3000), 64 * KIB, false, |got| got.len() >= echoed.len()));
    wire.expect(&echoed);
}

#[test]
fn too_many_arguments_and_too_large_ones_get_redis_own_errors() {
    let direct = Redis::start();
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("limits.request_args", 5).start();
    assert_eq!(redoubt.session().command(&["MGET", "a", "b", "c", "d"]).len(), "*4\r\n".len() + 20);
    // Redis's limit and the configured limit give the same error.
    let theirs = last_words(&mut direct.direct(), b"*2147483648\r\n");
    assert_eq!(shown(&theirs), "-ERR Protocol error: invalid multibulk length\\r\\n");
    assert_eq!(last_words(&mut redoubt.session(), b"*2147483648\r\n"), theirs);
    if !target_is_redis() {
        assert_eq!(last_words(&mut redoubt.session(), b"*6\r\n"), theirs);
        assert_closed_for(&redoubt, "protocol_error");
    }
    let bulk = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913\r\n";
    let theirs = last_words(&mut direct.direct(), bulk);
    assert_eq!(shown(&theirs), "-ERR Protocol error: invalid bulk length\\r\\n");
    assert_eq!(last_words(&mut redoubt.session(), bulk), theirs);
}

#[test]
fn a_small_in_flight_limit_changes_no_reply() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("limits.in_flight", 1).start();
    let (mut wire, mut other) = (redoubt.session(), redoubt.session());
    wire.command(&["CLIENT", "SETNAME", "me"]);
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for turn in 0..500 {
        let word = turn.to_string();
        said.extend(frame::request(&["ECHO", &word]));
        heard.extend(frame::bulk(word.as_bytes()));
        if turn % 50 == 0 {
            said.extend(frame::request(&["MULTI"]));
            said.extend(frame::request(&["CLIENT", "GETNAME"]));
            said.extend(frame::request(&["EXEC"]));
            heard.extend(b"+OK\r\n+QUEUED\r\n*1\r\n$2\r\nme\r\n");
        }
    }
    assert!(wire.exchange(&said, said.len(), false, |got| got.len() >= heard.len()));
    wire.expect(&heard);
    // A command that blocks delays what follows it, and no other session's requests.
    wire.send(
        &[frame::request(&["BLPOP", "list", "0"]), frame::request(&["ECHO", "after"])].concat(),
    );
    assert_eq!(other.command(&["RPUSH", "list", "value"]), b":1\r\n");
    wire.expect(b"*2\r\n$4\r\nlist\r\n$5\r\nvalue\r\n$5\r\nafter\r\n");
}
