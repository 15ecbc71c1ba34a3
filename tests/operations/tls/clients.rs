//! Clients that use TLS.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::{logged, plainly, speaking, wait_for_blocked};
use support::certificates::{Authority, Kind};
use support::tls::{BOTH, Caller, ONLY_12, ONLY_13};
use support::{Redis, Redoubt, Wire, now, shown, since};

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

#[test]
fn tls_1_2_and_1_3_are_accepted_unless_min_version_is_1_3() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let pair = authority.server("server");
    let redoubt = speaking(&redis, &pair).start();
    for versions in [BOTH, ONLY_12, ONLY_13] {
        let caller = Caller::new(&authority.ca(), versions, None);
        let mut session = caller.session(redoubt.address(), redoubt.password());
        assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
        assert_eq!(session.command(&["GET", "k"]), b"$1\r\nv\r\n");
    }
    let strict = speaking(&redis, &pair).set_text("tls.min_version", "1.3").start();
    let ping = |versions| Caller::new(&authority.ca(), versions, None).ping(strict.address());
    assert_eq!(ping(ONLY_13).as_deref(), Ok(NOAUTH));
    let refused = ping(ONLY_12).unwrap_err();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    logged(&strict, "connections refused", &["tls_handshake"]);
}

#[test]
fn a_client_rejects_a_redoubt_with_a_wrong_certificate() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let other_authority = Authority::new();
    let names = ["127.0.0.1"];
    for (pair, reported) in [
        (other_authority.server("server"), "UnknownIssuer"),
        (authority.issue("expired", &names, Kind::Expired), "expired"),
        (authority.issue("future", &names, Kind::Future), "not valid yet"),
        (authority.issue("self", &names, Kind::SelfSigned), "UnknownIssuer"),
        (authority.issue("foreign", &["127.0.0.2", "other"], Kind::Good), "not valid for name"),
    ] {
        let redoubt = speaking(&redis, &pair).set_text("log.level", "debug").start();
        let refused = Caller::trusting(&authority.ca()).ping(redoubt.address()).unwrap_err();
        assert!(refused.contains(reported), "{reported}: {refused}");
        logged(&redoubt, "TLS handshake with a client failed", &["received fatal alert"]);
        logged(&redoubt, "connections refused", &["tls_handshake"]);
        assert!(!redoubt.log().all().iter().any(|line| line.contains("session opened")));
    }
}

#[test]
fn a_plain_client_on_a_tls_port_is_closed() {
    let (authority, _redis, redoubt) = plainly();
    for bytes in
        [&b"PING\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096]]
    {
        let mut wire = redoubt.connect();
        assert!(wire.offer(bytes));
        let answer = wire.read_to_close();
        // The answer is an alert or nothing, and no text of Redis's.
        assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "{}", shown(&answer));
    }
    logged(&redoubt, "connections refused", &["tls_handshake"]);
    assert_eq!(Caller::trusting(&authority.ca()).ping(redoubt.address()).as_deref(), Ok(NOAUTH));
}

#[test]
fn a_tls_client_on_a_plain_port_gets_the_same_as_from_redis() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = Redoubt::start(&redis);
    let mut hello = Caller::trusting(&authority.ca()).hello();
    // To Redis this is the beginning of a line that does not end, because of the NULs in it.
    hello.extend_from_slice(b"\r\nPING\r\n");
    hello.resize(70 << 10, b'x');
    let answer = |mut wire: Wire| {
        wire.offer(&hello);
        wire.read_to_close()
    };
    let (wanted, got) = (answer(Wire::connect(redis.address())), answer(redoubt.connect()));
    assert!(wanted == got, "wanted {}, got {}", shown(&wanted), shown(&got));
}

#[test]
fn a_tls_handshake_is_limited_by_auth_timeout_and_delays_no_client() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt =
        speaking(&redis, &authority.server("server")).set_text("limits.auth_timeout", "1s").start();
    let caller = Caller::trusting(&authority.ca());
    let began = now();
    let mut silent = redoubt.connect();
    let mut half = redoubt.connect();
    let hello = caller.hello();
    half.send(&hello[..hello.len() / 2]);
    let mut slow = TcpStream::connect(redoubt.address()).unwrap();
    slow.write_all(&hello[..7]).unwrap();
    assert_eq!(caller.ping(redoubt.address()).as_deref(), Ok(NOAUTH));
    assert!(silent.read_to_close().is_empty() && half.read_to_close().is_empty());
    let took = since(began);
    assert!((0.9..10.0).contains(&took), "{took}");
    logged(&redoubt, "connections refused", &["tls_handshake"]);
}

#[test]
fn a_port_probe_without_bytes_is_not_logged_as_refused() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set_text("log.level", "debug")
        .set("limits.unauthenticated_sessions", 8)
        .start();
    for _ in 0..20 {
        let from = redoubt.log().count();
        drop(redoubt.connect());
        let left = |line: &str| line.contains("a client left before the handshake");
        assert!(redoubt.log().wait_from(from, left).is_some());
    }
    assert!(!redoubt.log().all().iter().any(|line| line.contains("connections refused")));
}

#[test]
fn tls_handshakes_count_as_unauthenticated_sessions() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set("limits.unauthenticated_sessions", 8)
        .start();
    let silent: Vec<_> = (0..7).map(|_| redoubt.connect()).collect();
    let caller = Caller::trusting(&authority.ca());
    // As with Redis, no error is sent, since the client could not read it.
    let refused = caller.ping(redoubt.address()).unwrap_err();
    assert!(!refused.contains("max number"), "{refused}");
    logged(&redoubt, "connections refused", &["unauthenticated_sessions"]);
    drop(silent);
    let served = support::Deadline::standard()
        .poll(|| caller.ping(redoubt.address()).as_deref() == Ok(NOAUTH));
    assert!(served, "the places of closed connections are returned");
}

#[test]
fn many_replies_are_sent_in_few_tls_records() {
    const REQUESTS: usize = 2000;
    let (authority, _redis, redoubt) = plainly();
    let mut session =
        Caller::trusting(&authority.ca()).session(redoubt.address(), redoubt.password());
    let before = session.records();
    session.send(&b"PING\r\n".repeat(REQUESTS));
    session.expect(&b"+PONG\r\n".repeat(REQUESTS));
    let records = session.records() - before;
    assert!(records < REQUESTS / 20, "{records} records for {REQUESTS} replies");
}

#[test]
fn requests_before_the_end_of_a_tls_stream_are_answered() {
    let (authority, _redis, redoubt) = plainly();
    for announces in [true, false] {
        let mut session =
            Caller::trusting(&authority.ca()).session(redoubt.address(), redoubt.password());
        session.send(&b"INCR n\r\n".repeat(100));
        if announces {
            session.finish()
        } else {
            session.fall_silent()
        }
        let rest = session.read_to_end().expect("the close is announced");
        assert_eq!(rest.iter().filter(|byte| **byte == b':').count(), 100, "{}", shown(&rest));
    }
}

#[test]
fn a_late_tls_reader_loses_nothing() {
    let (authority, redis, redoubt) = plainly();
    let value = b"0123456789abcdef".repeat(1 << 16);
    assert_eq!(redis.direct().command(&[&b"SET"[..], b"large", &value]), b"+OK\r\n");
    let caller = Caller::trusting(&authority.ca());
    let wanted = [b"$1048576\r\n", &value[..], b"\r\n"].concat().repeat(6);
    for _ in 0..4 {
        let mut late = caller.session(redoubt.address(), redoubt.password());
        late.send(&[&b"GET large\r\n".repeat(6)[..], b"QUIT\r\n"].concat());
        // Requests that it sends after that get replies in the order of another session.
        let mut other = caller.session(redoubt.address(), redoubt.password());
        assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
        late.expect(&wanted);
        assert_eq!(late.read_to_end().expect("an announced end"), b"+OK\r\n");
    }
}

#[test]
fn a_hundred_megabytes_pass_unchanged_over_tls_both_ways() {
    const SIZE: usize = 100 << 20;
    let authority = Authority::new();
    let pair = authority.server("server");
    let redis = Redis::setup().tls(&pair, &authority.ca(), "no").start();
    let redoubt = super::upstream::to(speaking(&redis, &pair), &redis, &authority).start();
    let mut session =
        Caller::trusting(&authority.ca()).session(redoubt.address(), redoubt.password());
    let began = now();
    let value: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    assert_eq!(session.command(&[&b"SET"[..], b"large", &value]), b"+OK\r\n");
    session.send(b"GET large\r\n");
    session.expect(format!("${SIZE}\r\n").as_bytes());
    session.expect(&value);
    session.expect(b"\r\n");
    support::note(&format!("{SIZE} bytes and back in {:.1} s", since(began)));
}

#[test]
fn a_balancer_reports_the_client_before_the_tls_handshake() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set("proxy_protocol_from", "[\"127.0.0.0/8\"]")
        .start();
    let mut stream = TcpStream::connect(redoubt.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend_from_slice(&[192, 0, 2, 7, 127, 0, 0, 1, 0x10, 0, 0x18, 0xeb]);
    stream.write_all(&header).unwrap();
    let mut tls = Caller::trusting(&authority.ca()).over(stream).unwrap();
    tls.send(b"PING\r\n");
    assert_eq!(tls.frame(), NOAUTH.as_bytes());
    logged(&redoubt, "session opened", &["192.0.2.7:4096"]);
}

#[test]
fn refused_commands_do_not_exist_over_tls() {
    let (authority, redis, redoubt) = plainly();
    let caller = Caller::trusting(&authority.ca());
    let mut other_authority = caller.connect(redoubt.address()).unwrap();
    for args in [&["GET", "k"][..], &["FLUSHALL"], &["CONFIG", "GET", "*"]] {
        assert!(other_authority.command(args).starts_with(b"-NOAUTH") || args != ["GET", "k"]);
    }
    assert!(other_authority.command(&["AUTH", "wrong"]).starts_with(b"-WRONGPASS"));
    assert_eq!(redis.direct().command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut session = caller.session(redoubt.address(), redoubt.password());
    for args in [&["FLUSHALL"][..], &["flushdb"], &["CONFIG", "GET", "*"], &["DEBUG", "SLEEP", "0"]]
    {
        let reply = session.command(args);
        assert!(reply.starts_with(b"-ERR unknown command"), "{args:?}: {}", shown(&reply));
    }
    let reply = session.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]);
    assert!(reply.starts_with(b"-"), "{}", shown(&reply));
    assert_eq!(session.command(&["GET", "k"]), b"$1\r\nv\r\n");
}

#[test]
fn a_client_that_leaves_ends_its_blocking_command_although_more_requests_wait_behind_it() {
    let (authority, redis, redoubt) = plainly();
    let caller = Caller::trusting(&authority.ca());
    let mut client = caller.session(redoubt.address(), redoubt.password());
    client.send(b"BLPOP list 0\r\nRESET\r\nPING\r\n");
    wait_for_blocked(&redis, 1);
    drop(client);
    wait_for_blocked(&redis, 0);
}
