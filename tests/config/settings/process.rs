//! Settings of the process: sockets, threads and shutdown.

use std::fs;

use socket2::{Domain, Socket, Type};

use super::{NO_AUTH, auth};
use support::{Deadline, Redis, Redoubt, Wire, frame, lines, signal};

fn logged(redoubt: &Redoubt, message: &str) {
    let says = |line: &str| lines::field(line, "message").is_some_and(|m| m.contains(message));
    redoubt.log().wait(says).expect(message);
}

#[test]
fn listen_takes_effect() {
    let redis = Redis::start();
    assert_eq!(Redoubt::start(&redis).address().ip().to_string(), "127.0.0.1");
    let redoubt = Redoubt::setup(&redis).set_text("listen", "127.0.0.3:0").start();
    assert_eq!(redoubt.address().ip().to_string(), "127.0.0.3");
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}

#[test]
fn reuse_port_takes_effect() {
    let redis = Redis::start();
    let can_be_shared = |redoubt: &Redoubt| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&redoubt.address().into()).is_ok()
    };
    assert!(!can_be_shared(&Redoubt::start(&redis)));
    assert!(can_be_shared(&Redoubt::setup(&redis).set("reuse_port", true).start()));
}

#[test]
fn allow_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("allow", "[\"127.0.0.2/32\"]").start();
    assert_eq!(redoubt.connect().read_to_close(), b"");
    let mut wire = Wire::connect_from([127, 0, 0, 2], redoubt.address());
    assert_eq!(wire.command(&["PING"]), NO_AUTH);
}

#[test]
fn proxy_protocol_from_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("proxy_protocol_from", "[\"127.0.0.2\"]").start();
    assert_eq!(redoubt.connect().command(&["PING"]), NO_AUTH);
    let mut wire = Wire::connect_from([127, 0, 0, 2], redoubt.address());
    wire.offer(&frame::request(&["AUTH", redoubt.password()]));
    assert_eq!(wire.read_to_close(), b"");
}

#[test]
fn workers_takes_effect() {
    let redis = Redis::start();
    let workers = |redoubt: &Redoubt| {
        let threads = fs::read_dir(format!("/proc/{}/task", redoubt.pid())).unwrap();
        let names = threads.flatten().flat_map(|thread| fs::read(thread.path().join("comm")));
        names.filter(|name| name.starts_with(b"worker-")).count()
    };
    let (one, three) = (Redoubt::start(&redis), Redoubt::setup(&redis).set("workers", 3).start());
    assert!(Deadline::standard().poll(|| workers(&one) == 1));
    assert!(Deadline::standard().poll(|| workers(&three) == 3));
}

#[test]
fn drain_delay_takes_effect() {
    let redis = Redis::start();
    let mut at_once = Redoubt::start(&redis);
    signal(at_once.pid(), "TERM");
    assert_eq!(at_once.wait().code(), Some(0));
    let redoubt = Redoubt::setup(&redis).set_text("drain_delay", "1h").start();
    signal(redoubt.pid(), "TERM");
    logged(&redoubt, "SIGTERM, stopping");
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}

#[test]
fn shutdown_timeout_takes_effect() {
    let redis = Redis::start();
    for (wait, ends) in [("0s", true), ("1h", false)] {
        let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", wait).start();
        let mut session = redoubt.session();
        // A session that only waits in Redis is closed whatever the setting is.
        session.send(&frame::request(&["BLPOP", wait, "0"]));
        session.send(&frame::request(&["PING"]));
        let blocked = || redis.direct().command(&["INFO", "clients"]);
        let wanted = b"blocked_clients:1\r\n";
        assert!(
            Deadline::standard()
                .poll(|| { blocked().windows(wanted.len()).any(|bytes| bytes == wanted) })
        );
        signal(redoubt.pid(), "TERM");
        if ends {
            assert_eq!(session.read_to_close(), b"");
        } else {
            logged(&redoubt, "stopping: no new sessions");
            redis.direct().command(&["RPUSH", wait, "value"]);
            assert_eq!(session.frame(), b"*2\r\n$2\r\n1h\r\n$5\r\nvalue\r\n");
            assert_eq!(session.read_to_close(), b"+PONG\r\n");
        }
        assert_eq!(redoubt.wait().code(), Some(0));
    }
}

#[test]
fn allow_weak_passwords_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).client_password("short");
    // The harness panics if Redoubt does not start, which it would not without the setting.
    let redoubt = redoubt.set("allow_weak_passwords", true).start();
    logged(&redoubt, "allow_weak_passwords");
    assert_eq!(auth(&redoubt, &["short"]), b"+OK\r\n");
}
