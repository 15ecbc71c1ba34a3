//! Reloads that change limits on sessions and requests.

use std::net::SocketAddr;
use std::process::Command;

use super::{change, text};
use support::frame::{self, request};
use support::{Deadline, Redis, Redoubt, lines, now, shown, signal, since};

const MAX_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";

/// Starts Redoubt with `key` set to `value`, and its Redis.
pub(super) fn with(key: &str, value: &str) -> (Redis, Redoubt) {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set(key, value).start();
    (redis, redoubt)
}

fn start() -> (Redis, Redoubt) {
    with("limits.max_sessions", "100")
}

/// Waits until the log reports that a session was closed for `reason`.
pub(super) fn closed_for(redoubt: &Redoubt, reason: &str) {
    let closed = |line: &str| lines::field(line, "reason") == Some(reason);
    assert!(redoubt.log().wait(closed).is_some(), "none is closed for {reason}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_max_sessions_and_sessions_per_address() {
    for key in ["limits.max_sessions", "limits.sessions_per_address"] {
        let (_redis, mut redoubt) = start();
        let (mut one, mut other) = (redoubt.session(), redoubt.session());
        // Existing sessions stay, although there are more than the new limit.
        assert_eq!(change(&mut redoubt, key, "1"), 0);
        assert_eq!(one.command(&["PING"]), b"+PONG\r\n");
        assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
        assert_eq!(redoubt.connect().read_to_close(), MAX_CLIENTS);
        change(&mut redoubt, key, "3");
        assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_sessions_per_identity() {
    let (_redis, mut redoubt) = start();
    let mut one = redoubt.session();
    change(&mut redoubt, "limits.sessions_per_identity", "1");
    assert_eq!(redoubt.connect().command(&["AUTH", redoubt.password()]), MAX_CLIENTS);
    assert_eq!(one.command(&["PING"]), b"+PONG\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_unauthenticated_sessions() {
    let (_redis, mut redoubt) = start();
    let mut waits = redoubt.connect();
    assert!(waits.command(&["PING"]).starts_with(b"-NOAUTH"));
    change(&mut redoubt, "limits.unauthenticated_sessions", "1");
    assert_eq!(redoubt.connect().read_to_close(), MAX_CLIENTS);
    assert_eq!(waits.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_unauthenticated_memory() {
    let (_redis, mut redoubt) = with("limits.auth_timeout", "\"1m\"");
    change(&mut redoubt, "limits.unauthenticated_memory", "\"1mb\"");
    // The request has ten arguments of 16 KiB, and the last is incomplete.
    let mut half = b"*10\r\n$4\r\nAUTH\r\n".to_vec();
    half.extend([&b"$16384\r\n"[..], &[b'x'; 16384], b"\r\n"].concat().repeat(8));
    let mut silent: Vec<_> = (0..14).map(|_| redoubt.connect()).collect();
    for wire in &mut silent {
        wire.offer(&half);
    }
    closed_for(&redoubt, "unauthenticated_memory");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_auth_timeout() {
    let (_redis, mut redoubt) = with("limits.auth_timeout", "\"60s\"");
    let mut before = redoubt.connect();
    assert!(before.command(&["PING"]).starts_with(b"-NOAUTH"));
    change(&mut redoubt, "limits.auth_timeout", "\"100ms\"");
    assert_eq!(redoubt.connect().read_to_close(), b"");
    closed_for(&redoubt, "auth_timeout");
    assert_eq!(before.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_auth_attempts() {
    let (_redis, mut redoubt) = start();
    let mut wire = redoubt.connect();
    assert!(wire.command(&["PING"]).starts_with(b"-NOAUTH"));
    change(&mut redoubt, "limits.auth_attempts", "2");
    wire.offer(&request(&["PING"]).repeat(4));
    wire.read_to_close();
    closed_for(&redoubt, "auth_attempts");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_idle_timeout() {
    let (_redis, mut redoubt) = start();
    let mut session = redoubt.session();
    change(&mut redoubt, "limits.idle_timeout", "\"100ms\"");
    assert_eq!(session.read_to_close(), b"");
    closed_for(&redoubt, "idle");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_request_size() {
    let (_redis, mut redoubt) = start();
    let mut session = redoubt.session();
    let large = request(&["SET", "k", &"x".repeat(4000)]);
    session.send(&large);
    session.expect(b"+OK\r\n");
    change(&mut redoubt, "limits.request_size", "\"1kb\"");
    session.offer(&large);
    session.read_to_close();
    closed_for(&redoubt, "request_too_large");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_request_args() {
    let (_redis, mut redoubt) = start();
    let mut session = redoubt.session();
    let many = ["MSET", "a", "1", "b", "2"];
    assert_eq!(session.command(&many), b"+OK\r\n");
    change(&mut redoubt, "limits.request_args", "3");
    session.offer(&request(&many));
    let reply = session.read_to_close();
    assert!(reply.starts_with(b"-ERR Protocol error"), "{}", shown(&reply));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_in_flight() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set_text("upstream.sharing", "off");
    let mut redoubt = setup.start();
    change(&mut redoubt, "limits.in_flight", "1");
    let mut session = redoubt.session();
    let pings = request(&["PING"]).repeat(100);
    session.send(&[request(&["BLPOP", "list", "0"]), pings].concat());
    // Redis buffers what follows a command that blocks; only that command has run.
    let blocked = || {
        let list = text(&redis.direct().command(&["CLIENT", "LIST"]));
        let line = list.lines().find(|line| line.contains("cmd=blpop")).map(str::to_owned);
        line.filter(|line| line.contains("qbuf=0 "))
    };
    assert!(Deadline::standard().poll(|| blocked().is_some()));
    // The pings were sent before, so they have been read when the other session gets its reply.
    let mut other = redoubt.session();
    assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
    assert!(blocked().is_some(), "more than one request has gone to Redis");
    assert_eq!(other.command(&["RPUSH", "list", "v"]), b":1\r\n");
    session.expect(&[&b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n"[..], &b"+PONG\r\n".repeat(100)].concat());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_output_buffer() {
    const MIB: usize = 1 << 20;
    let (redis, mut redoubt) = with("limits.output_buffer", "\"256mb\"");
    redis.direct().command(&["SETRANGE", "big", &(32 * MIB).to_string(), "x"]);
    let (mut slow, mut behind) = (redoubt.session(), redoubt.session());
    slow.command(&["PING"]);
    behind.command(&["PING"]);
    change(&mut redoubt, "limits.output_buffer", "\"1mb\"");
    signal(redis.pid(), "STOP");
    let wait_until_handled = || {
        let mut wire = redoubt.connect();
        (0..3).for_each(|_| drop(wire.command(&["PING"])));
    };
    slow.send(&request(&["GET", "big"]));
    wait_until_handled();
    behind.send(&request(&["ECHO", "behind"]));
    wait_until_handled();
    signal(redis.pid(), "CONT");
    assert_eq!(behind.frame(), frame::bulk(b"behind"));
    closed_for(&redoubt, "output_limit");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_memory() {
    let (redis, mut redoubt) = with("limits.memory", "\"1gb\"");
    redis.direct().command(&["SETRANGE", "big", &(32 << 20).to_string(), "x"]);
    let mut slow: Vec<_> = (0..12).map(|_| redoubt.session()).collect();
    slow.iter_mut().for_each(|wire| wire.send(&request(&["GET", "big"])));
    redoubt.wait_for_metric("redoubt_memory_bytes", (10 << 20) as f64);
    change(&mut redoubt, "limits.memory", "\"8mb\"");
    closed_for(&redoubt, "memory");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_subscriptions() {
    let (_redis, mut redoubt) = start();
    let mut session = redoubt.session();
    session.command(&["SUBSCRIBE", "a"]);
    change(&mut redoubt, "limits.subscriptions", "1");
    session.offer(&request(&["SUBSCRIBE", "b"]));
    session.read_to_close();
    closed_for(&redoubt, "subscriptions");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_commands_per_second() {
    let (_redis, mut redoubt) = start();
    let mut session = redoubt.session();
    change(&mut redoubt, "limits.commands_per_second", "2");
    let began = now();
    session.send(&request(&["PING"]).repeat(4));
    session.expect(&b"+PONG\r\n".repeat(4));
    assert!(since(began) > 0.7, "4 in {} s", since(began));
    // The requests that waited continue when the limit is removed.
    session.send(&request(&["PING"]).repeat(100));
    change(&mut redoubt, "limits.commands_per_second", "0");
    let began = now();
    session.expect(&b"+PONG\r\n".repeat(100));
    assert!(since(began) < 20.0, "the rest came after {} s", since(began));
}

/// Returns true if the kernel sends keepalive probes on the connection from `from`.
fn is_probed(from: SocketAddr) -> bool {
    let shown = Command::new("ss").args(["-tnoH", "dst", &from.to_string()]).output();
    let shown = shown.expect("ss is missing: apt-get install -y iproute2");
    text(&shown.stdout).contains("timer:(keepalive")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_tcp_keepalive() {
    let (_redis, mut redoubt) = with("limits.tcp_keepalive", "\"0s\"");
    let before = redoubt.session();
    assert!(!is_probed(before.stream().local_addr().unwrap()));
    change(&mut redoubt, "limits.tcp_keepalive", "\"1000s\"");
    let after = redoubt.session();
    assert!(Deadline::standard().poll(|| is_probed(after.stream().local_addr().unwrap())));
    assert!(!is_probed(before.stream().local_addr().unwrap()), "new connections alone");
}
