//! The section `limits`.

use std::time::Duration;

use super::{MAX_CLIENTS, NO_AUTH, auth};
use support::{Deadline, Redis, Redoubt, Wire, frame, http, keepalive, lines, now, signal, since};

const OTHER: [u8; 4] = [127, 0, 0, 2];

fn with(redis: &Redis, key: &str, value: impl ToString) -> Redoubt {
    Redoubt::setup(redis).set(key, value).start()
}

fn with_text(redis: &Redis, key: &str, value: &str) -> Redoubt {
    Redoubt::setup(redis).set_text(key, value).start()
}

fn closed_for(redoubt: &Redoubt, reason: &str) {
    let closed = |line: &str| lines::field(line, "reason") == Some(reason);
    redoubt.log().wait(closed).expect(reason);
}

#[test]
fn max_sessions_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.max_sessions", 1);
    let _first = redoubt.session();
    assert_eq!(redoubt.connect().read_to_close(), MAX_CLIENTS);
}

#[test]
fn sessions_per_address_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.sessions_per_address", 1);
    let _first = redoubt.session();
    assert_eq!(redoubt.connect().read_to_close(), MAX_CLIENTS);
    assert_eq!(Wire::connect_from(OTHER, redoubt.address()).command(&["PING"]), NO_AUTH);
}

#[test]
fn sessions_per_identity_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.sessions_per_identity", 1);
    let _first = redoubt.session();
    assert_eq!(auth(&redoubt, &[redoubt.password()]), MAX_CLIENTS);
}

#[test]
fn unauthenticated_sessions_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.unauthenticated_sessions", 8);
    let silent: Vec<_> = (0..7).map(|_| redoubt.connect()).collect();
    assert_eq!(redoubt.connect().read_to_close(), MAX_CLIENTS, "one address has seven eighths");
    drop(silent);
}

#[test]
fn unauthenticated_memory_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.unauthenticated_memory", "1mb");
    // Half a request of 130 KiB; an unauthenticated client may send each of its arguments.
    let mut half = b"*10\r\n$4\r\nAUTH\r\n".to_vec();
    half.extend([&b"$16384\r\n"[..], &[b'x'; 16384], b"\r\n"].concat().repeat(8));
    let mut wires: Vec<_> = (0..14).map(|_| redoubt.connect()).collect();
    wires.iter_mut().for_each(|wire| _ = wire.offer(&half));
    closed_for(&redoubt, "unauthenticated_memory");
}

#[test]
fn memory_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.memory", "8mb");
    redis.direct().command(&["SETRANGE", "big", &(32 << 20).to_string(), "x"]);
    let mut slow: Vec<_> = (0..12).map(|_| redoubt.session()).collect();
    slow.iter_mut().for_each(|wire| wire.send(&frame::request(&["GET", "big"])));
    closed_for(&redoubt, "memory");
}

#[test]
fn auth_timeout_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.auth_timeout", "1s");
    let opened = now();
    assert_eq!(redoubt.connect().read_to_close(), b"");
    assert!((0.9..9.0).contains(&since(opened)), "closed after {} s", since(opened));
    closed_for(&redoubt, "auth_timeout");
}

#[test]
fn auth_attempts_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.auth_attempts", 2);
    let mut wire = redoubt.connect();
    wire.offer(&frame::request(&["PING"]).repeat(4));
    let said = wire.read_to_close();
    assert!(said.len() <= NO_AUTH.len() * 3, "{} bytes", said.len());
    closed_for(&redoubt, "auth_attempts");
}

#[test]
fn idle_timeout_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.idle_timeout", "1s");
    assert_eq!(redoubt.session().read_to_close(), b"");
    closed_for(&redoubt, "idle");
}

#[test]
fn tcp_keepalive_takes_effect() {
    let redis = Redis::start();
    for (setting, range) in [("300s", 1..=300), ("3000s", 301..=3000)] {
        let redoubt = with_text(&redis, "limits.tcp_keepalive", setting);
        let _session = redoubt.session();
        let port = redoubt.address().port();
        let of = |rows: &[keepalive::Row]| {
            rows.iter().any(|row| row.local == port && range.contains(&row.seconds))
        };
        assert!(Deadline::standard().poll(|| of(&keepalive::rows())), "{setting}");
    }
}

#[test]
fn request_size_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.request_size", "1mb");
    let mut wire = redoubt.session();
    wire.offer(&frame::request(&["ECHO", &"x".repeat(2 << 20)]));
    assert_eq!(wire.read_to_close(), b"");
    closed_for(&redoubt, "request_too_large");
}

#[test]
fn request_args_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.request_args", 3);
    let mut wire = redoubt.session();
    assert_eq!(wire.command(&["SET", "k", "v"]), b"+OK\r\n");
    wire.offer(&frame::request(&["MGET", "a", "b", "c"]));
    assert_eq!(wire.read_to_close(), b"-ERR Protocol error: invalid multibulk length\r\n");
}

#[test]
fn in_flight_takes_effect() {
    const SENT: usize = 50;
    let redis = Redis::start();
    for (setting, due) in [(3, 3), (1_000_000, SENT)] {
        let redoubt = with(&redis, "limits.in_flight", setting);
        let mut wire = redoubt.session();
        assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
        signal(redis.pid(), "STOP");
        wire.send(&frame::request(&["PING"]).repeat(SENT));
        let gauge = format!("redoubt_replies_due {due}");
        let shown = Deadline::standard().poll(|| {
            let (_, _, scrape) = http::http_get(redoubt.admin(), "/metrics");
            scrape.lines().any(|line| line == gauge)
        });
        signal(redis.pid(), "CONT");
        assert!(shown, "never {gauge}");
        wire.expect(&b"+PONG\r\n".repeat(SENT));
    }
}

#[test]
fn output_buffer_takes_effect() {
    let redis = Redis::start();
    let redoubt = with_text(&redis, "limits.output_buffer", "1mb");
    redis.direct().command(&["SETRANGE", "big", &(32 << 20).to_string(), "x"]);
    // The client has many replies waiting and reads none of them.
    let mut slow = redoubt.session();
    slow.send(&frame::request(&["GET", "big"]).repeat(4));
    // Other clients of its link wait for their replies.
    let waits = Deadline::standard().poll(|| {
        redoubt.session().command(&["PING"]);
        redoubt.log().all().iter().any(|l| lines::field(l, "reason") == Some("output_limit"))
    });
    assert!(waits, "it is never closed");
}

#[test]
fn subscriptions_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.subscriptions", 2);
    let mut wire = redoubt.session();
    wire.offer(&frame::request(&["SUBSCRIBE", "a", "b", "c"]));
    wire.read_to_close();
    closed_for(&redoubt, "subscriptions");
}

#[test]
fn commands_per_second_takes_effect() {
    let redis = Redis::start();
    let redoubt = with(&redis, "limits.commands_per_second", 10);
    let mut wire = redoubt.session();
    let from = now();
    wire.set_time_limit(Duration::from_secs(20));
    wire.send(&frame::request(&["PING"]).repeat(30));
    wire.expect(&b"+PONG\r\n".repeat(30));
    assert!(since(from) > 0.9, "{} s for 30 at 10 a second", since(from));
}
