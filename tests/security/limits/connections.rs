//! Limits on a connection before it is closed: time, attempts, number of sessions.

use std::time::Duration;

use support::{Deadline, Redis, Redoubt, frame, now, since};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_silent_connection_is_closed_after_auth_timeout() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.auth_timeout", "1s").start();
    let opened = now();
    let mut session = redoubt.session();
    let mut silent: Vec<_> = (0..100).map(|_| redoubt.connect()).collect();
    for (number, wire) in silent.iter_mut().enumerate() {
        match number % 3 {
            0 => {}
            1 => wire.send(b"*2\r\n$4\r\nAUTH\r\n$64\r\nhalf"),
            _ => wire.send(b"inline without an end"),
        }
    }
    let mut talking = redoubt.connect();
    assert_eq!(talking.command(&["PING"]), b"-NOAUTH Authentication required.\r\n");

    for wire in &mut silent {
        assert_eq!(wire.read_to_close(), b"");
    }
    assert_eq!(talking.read_to_close(), b"", "requests before AUTH extended auth_timeout");
    assert!(since(opened) >= 0.9, "closed after {} s", since(opened));
    assert!(since(opened) < 10.0, "closed after {} s", since(opened));
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n", "an authenticated session stays");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_connection_is_closed_after_auth_attempts() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("limits.auth_attempts", 3).start();
    let requests: [&[&str]; 3] = [
        &["AUTH", "a wrong password of many"],
        &["PING"],
        &["HELLO", "3", "AUTH", "default", "another wrong password"],
    ];
    for request in requests {
        let mut wire = redoubt.connect();
        for _ in 0..3 {
            let reply = wire.command(request);
            assert!(reply.starts_with(b"-WRONGPASS ") || reply.starts_with(b"-NOAUTH "));
        }
        // The next request is one too many; whether it gets a reply does not matter.
        wire.send(&frame::request(request));
        let rest = wire.read_to_close();
        assert!(frame::length(&rest).is_none_or(|length| length == rest.len()));
    }
    let mut wire = redoubt.connect();
    for _ in 0..3 {
        wire.command(&["AUTH", "wrong"]);
    }
    assert_eq!(
        wire.command(&["AUTH", redoubt.password()]),
        b"+OK\r\n",
        "the password is accepted within the attempts"
    );
    for _ in 0..10 {
        assert!(wire.command(&["AUTH", "wrong"]).starts_with(b"-WRONGPASS "));
    }
    assert_eq!(wire.command(&["PING"]), b"+PONG\r\n", "an authenticated session stays");
}

#[test]
fn connections_beyond_max_sessions_get_redis_own_error() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("limits.max_sessions", 5).start();
    let mut sessions: Vec<_> = (0..5).map(|_| redoubt.session()).collect();
    for _ in 0..20 {
        let mut wire = redoubt.connect();
        assert_eq!(wire.read_to_close(), b"-ERR max number of clients reached\r\n");
    }
    for session in &mut sessions {
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    }
    drop(sessions.pop());
    let fits = Deadline::standard().poll(|| {
        let mut wire = redoubt.connect();
        wire.offer(&frame::request(&["QUIT"]));
        wire.read_to_close() == b"+OK\r\n"
    });
    assert!(fits, "the place of a closed session is not given out again");
}

#[test]
fn an_idle_session_is_closed_and_a_waiting_one_is_not() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.idle_timeout", "1s").start();
    let opened = now();
    let mut idle = redoubt.session();
    let mut waiting = redoubt.session();
    waiting.send(&frame::request(&["BLPOP", "nothing", "3"]));
    let mut subscribed = redoubt.session();
    subscribed.command(&["SUBSCRIBE", "channel"]);

    assert_eq!(idle.read_to_close(), b"");
    assert!(since(opened) >= 0.9, "closed after {} s", since(opened));
    assert_eq!(waiting.frame(), b"*-1\r\n", "it waits for a reply");
    assert!(since(opened) >= 2.9);
    // By now it has been silent three times as long, as subscribers are.
    assert_eq!(subscribed.command(&["PING", ""]), b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_eq!(waiting.read_to_close(), b"", "the time counts from the reply");
}

#[test]
fn a_busy_session_is_not_idle() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.idle_timeout", "2s").start();
    let mut session = redoubt.session();
    let busy_until = Deadline::after(Duration::from_secs(5));
    while busy_until.left().is_some() {
        // The pause between commands is Redis's: half a second, a quarter of the limit.
        assert_eq!(session.command(&["BLPOP", "nothing", "0.5"]), b"*-1\r\n");
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    }
}
