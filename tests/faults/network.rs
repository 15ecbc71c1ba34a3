//! Connections to the upstream are refused, time out, or break.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::{FAILED, LOST, UNAVAILABLE, assert_closed_unserved, lines_with, says};
use support::{Deadline, Redis, Redoubt, frame, signal};

const DOWN: &str = "upstream is unavailable";

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_refused_upstream_connection_is_logged_once_and_recovers() {
    let mut redis = Redis::start();
    redis.kill();
    let redoubt = Redoubt::start(&redis);
    let reason = says(&redoubt, DOWN);
    assert!(reason.contains("refused"), "{reason}");
    // The time is long enough for more than one attempt.
    let deadline = Deadline::after(Duration::from_secs(1));
    while deadline.left().is_some() {
        assert_closed_unserved(&redoubt);
    }
    redoubt.wait_until_unready();
    redoubt.wait_for_metric(UNAVAILABLE, 1.0);
    redoubt.wait_for_metric(FAILED, 1.0);
    redis.restart();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    assert_eq!(lines_with(&redoubt, DOWN), 1);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn right_password_waits_for_a_redis_that_is_down_and_wrong_ones_do_not() {
    let mut redis = Redis::start();
    // A worker without links learns of the outage a moment later.
    let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
    redoubt.wait_until_it_serves();
    redis.kill();
    redoubt.wait_until_unready();
    let (mut right, mut wrong) = (redoubt.connect(), redoubt.connect());
    // Libraries send what they have kept together with the password.
    right.send(&frame::request(&["AUTH", redoubt.password()]));
    right.send(&frame::request(&["INCR", "counter"]));
    wrong.send(&frame::request(&["AUTH", "nonsense"]));
    wrong.expect(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    redis.restart();
    right.expect(b"+OK\r\n:1\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_without_an_upstream_are_summed_up_in_the_log_and_listed_in_the_audit_log() {
    const VAIN: usize = 40;
    let mut redis = Redis::start();
    redis.kill();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.log");
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("audit.output", "file")
        .set_text("audit.file", file.to_str().unwrap())
        .start();
    // The first is logged, so the others come when it is over.
    assert_closed_unserved(&redoubt);
    std::thread::scope(|scope| {
        for _ in 1..VAIN {
            scope.spawn(|| assert_closed_unserved(&redoubt));
        }
    });
    // A connection that lasts is logged nevertheless.
    let lasting = redoubt.connect();
    redoubt.wait_for_metric(UNAVAILABLE, VAIN as f64);
    let peer = lasting.stream().local_addr().unwrap().to_string();
    let said = |text: &str| {
        redoubt.log().wait(|line| line.contains(text) && line.contains(&peer)).expect(text);
    };
    said("session opened");
    assert_eq!(lines_with(&redoubt, "\"session opened\""), 2, "two sessions are logged");
    drop(lasting);
    said("session closed");
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    redoubt.log().wait_for_end();
    let (mut reported, mut counted) = (0, 0);
    for line in redoubt.log().all() {
        let line: serde_json::Value = serde_json::from_str(&line).expect(&line);
        if line["reason"] == "upstream_unavailable" {
            match line["message"].as_str() {
                Some("session closed") => reported += 1,
                _ => counted += line["count"].as_u64().unwrap(),
            }
        }
    }
    assert_eq!((reported, counted), (1, VAIN as u64 - 1));
    let audit = std::fs::read_to_string(file).unwrap();
    assert_eq!(audit.matches("\"reason\":\"upstream_unavailable\"").count(), VAIN);
}

/// A listener that accepts no connection, because its queue is full.
struct Blackhole {
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
            assert!(queue.len() < 100, "the queue is never full");
        }
        Self { _listener: listener, _queue: queue }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_connect_to_the_upstream_times_out() {
    let mut redis = Redis::start();
    redis.kill();
    let blackhole = Blackhole::at(redis.address());
    let redoubt = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "500ms").start();
    assert_closed_unserved(&redoubt);
    let reason = says(&redoubt, DOWN);
    assert!(reason.contains("500ms") || reason.contains("in time"), "{reason}");
    redoubt.wait_until_unready();
    redoubt.wait_for_metric(UNAVAILABLE, 1.0);
    drop(blackhole);
    redis.restart();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn sessions_wait_for_a_stopped_redis_and_new_ones_are_closed() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "500ms").start();
    redoubt.wait_until_it_serves();
    let mut waiting = redoubt.session();
    assert_eq!(waiting.command(&["SET", "counter", "1"]), b"+OK\r\n");
    signal(redis.pid(), "STOP");
    waiting.send(b"INCR counter\r\n");
    waiting.set_time_limit(Duration::from_millis(300));
    assert_eq!(waiting.try_receive(), None, "the waiting client got bytes");
    // A session that needs a lease cannot get one.
    let mut blocking = redoubt.session();
    blocking.send(b"BLPOP nothing 0\r\n");
    assert_eq!(blocking.read_to_close(), b"");
    // Open links count no failure.
    redoubt.wait_for_metric(FAILED, 1.0);
    redoubt.wait_until_ready();
    signal(redis.pid(), "CONT");
    waiting.set_time_limit(support::TIME_LIMIT);
    waiting.expect(b":2\r\n");
    redoubt.wait_until_it_serves();
    assert_eq!(waiting.command(&["GET", "counter"]), b"$1\r\n2\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn sessions_that_wait_for_a_stopped_redis_are_closed_when_it_dies() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut waiting = redoubt.session();
    assert_eq!(waiting.command(&["SET", "k", "v"]), b"+OK\r\n");
    signal(redis.pid(), "STOP");
    waiting.send(b"GET k\r\n");
    redis.kill();
    assert_eq!(waiting.read_to_close(), b"");
    let down = Deadline::standard().poll(|| lines_with(&redoubt, DOWN) == 1);
    assert!(down, "the log does not say that Redis is gone");
    redoubt.wait_until_unready();
    redoubt.wait_for_metric(LOST, 1.0);
    redis.restart();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
}
