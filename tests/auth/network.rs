//! Where connections may come from, and load balancers that report their clients' addresses.

use std::time::Duration;

use support::{Deadline, Redis, Redoubt, Wire, frame, lines, now, since};

const BALANCER: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

/// Returns a PROXY header of version 2 for a client with an IPv4 address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let ports = [0x12, 0x34, 0x18, 0xec];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &client[..], &[127, 0, 0, 1], &ports].concat()
}

fn auth(password: &str) -> Vec<u8> {
    frame::request(&["AUTH", password])
}

#[test]
fn only_allowed_networks_may_connect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("allow", "[\"127.0.0.2\", \"10.0.0.0/8\"]").start();
    let mut wire = Wire::connect_from(BALANCER, redoubt.address());
    assert_eq!(wire.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    for source in [OTHER, [127, 0, 0, 1]] {
        let mut wire = Wire::connect_from(source, redoubt.address());
        wire.offer(&auth(redoubt.password()));
        assert_eq!(wire.read_to_close(), b"");
    }
    assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
    let refused = |line: &str| lines::field(line, "reason") == Some("not_allowed");
    let line = redoubt.log().wait(refused).unwrap();
    assert_eq!(lines::field(&line, "message"), Some("connections refused"));
    let from_others = |line: &String| {
        lines::field(line, "peer").is_some_and(|peer| !peer.starts_with("127.0.0.2:"))
    };
    assert!(!redoubt.log().all().iter().any(from_others), "there was no session");
}

#[test]
fn a_trusted_balancer_reports_the_clients_address() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("proxy_protocol_from", "[\"127.0.0.2\"]")
        .set("allow", "[\"192.0.2.0/24\", \"127.0.0.3\"]")
        .set("limits.sessions_per_address", 1)
        .set_text("limits.auth_timeout", "2s")
        .set("throttle.failures", 1)
        .set_text("throttle.lockout", "1h")
        .set("throttle.exempt", "[]")
        .start();
    let through = |client: [u8; 4], password: &str| {
        let mut wire = Wire::connect_from(BALANCER, redoubt.address());
        // Bytes after the header may arrive together with it.
        wire.offer(&[header(client), auth(password)].concat());
        while frame::length(wire.received()).is_none() && wire.receive() > 0 {}
        wire
    };
    let first = through([192, 0, 2, 7], redoubt.password());
    assert_eq!(first.received(), b"+OK\r\n");
    let opened = |line: &str| lines::field(line, "peer") == Some("192.0.2.7:4660");
    redoubt.log().wait(opened).expect("the log names the client");
    assert_eq!(
        through([192, 0, 2, 7], redoubt.password()).received(),
        b"-ERR max number of clients reached\r\n"
    );
    assert_eq!(through([198, 51, 100, 1], redoubt.password()).received(), b"", "not allowed");
    assert_eq!(through([192, 0, 2, 8], "wrong").received(), b"");
    assert_eq!(through([192, 0, 2, 8], redoubt.password()).received(), b"", "locked out");
    assert_eq!(through([192, 0, 2, 9], redoubt.password()).received(), b"+OK\r\n");

    // From an address that is not a trusted balancer, a header is not accepted.
    let mut wire = Wire::connect_from(OTHER, redoubt.address());
    wire.send(&[header([192, 0, 2, 10]), auth(redoubt.password())].concat());
    assert_eq!(wire.read_to_close(), b"", "Redis sees no end of a line behind a NUL");
    assert!(!redoubt.log().all().iter().any(|line| line.contains("192.0.2.10")));
}

#[test]
fn a_connection_of_a_balancer_without_a_header_is_closed() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("proxy_protocol_from", "[\"127.0.0.2/32\"]")
        .set_text("limits.auth_timeout", "1s")
        .start();
    let connect = || Wire::connect_from(BALANCER, redoubt.address());
    for beginning in [
        &b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 6380\r\n"[..],
        &auth(redoubt.password()),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\x00",
    ] {
        let mut wire = connect();
        wire.offer(beginning);
        assert_eq!(wire.read_to_close(), b"");
    }
    let opened = now();
    let mut silent = connect();
    let mut half = connect();
    half.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0");
    assert_eq!(silent.read_to_close(), b"");
    assert_eq!(half.read_to_close(), b"");
    assert!((0.9..10.0).contains(&since(opened)), "closed after {} s", since(opened));
    let refused = |line: &str| lines::field(line, "reason") == Some("no_proxy_header");
    redoubt.log().wait(refused).unwrap();

    // The balancer sends a health check of its own, and a header in pieces.
    let mut wire = connect();
    wire.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    assert_eq!(wire.command(&["PING"]), b"-NOAUTH Authentication required.\r\n");
    let mut wire = connect();
    for byte in header([192, 0, 2, 7]) {
        wire.send(&[byte]);
    }
    assert_eq!(wire.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    let own = |line: &str| lines::field(line, "peer").is_some_and(|p| p.starts_with("127.0.0.2:"));
    redoubt.log().wait(own).unwrap();
}

#[test]
fn silent_balancer_connections_do_not_block_others() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("proxy_protocol_from", "[\"127.0.0.2\"]")
        .set("limits.unauthenticated_sessions", 4)
        .set_text("limits.auth_timeout", "2s")
        .start();
    let mut silent: Vec<_> =
        (0..10).map(|_| Wire::connect_from(BALANCER, redoubt.address())).collect();
    let reported = |wire: &mut Wire| {
        wire.set_time_limit(Duration::from_millis(200));
        wire.try_receive().is_some_and(|got| got > 0)
    };
    assert_eq!(silent.iter_mut().filter_map(|wire| reported(wire).then_some(())).count(), 6);
    let again = Deadline::standard().poll(|| {
        let mut wire = Wire::connect_from(OTHER, redoubt.address());
        wire.offer(&auth(redoubt.password()));
        while frame::length(wire.received()).is_none() && wire.receive() > 0 {}
        wire.received() == b"+OK\r\n"
    });
    assert!(again, "the places of silent connections are returned");
}

/// Fails on a machine without IPv6, where the test would prove nothing.
fn assert_ipv6() {
    let bound = std::net::TcpListener::bind("[::1]:0");
    assert!(bound.is_ok(), "IPv6 is off: sysctl -w net.ipv6.conf.lo.disable_ipv6=0");
}

/// Returns true if `HELLO` works at `address`.
fn greets(address: &str, password: &str) -> bool {
    let mut wire = Wire::connect(address.parse().unwrap());
    wire.command(&["AUTH", password]) == b"+OK\r\n"
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_ipv6_unspecified_address_and_localhost_listen_on_both_families() {
    assert_ipv6();
    let redis = Redis::start();
    for listen in ["[::]:0", "localhost:0"] {
        let redoubt = Redoubt::setup(&redis).set_text("listen", listen).start();
        let port = redoubt.address().port();
        for host in ["127.0.0.1", "[::1]"] {
            let address = format!("{host}:{port}");
            assert!(greets(&address, redoubt.password()), "{listen}: {address}");
        }
    }
    // The address of an IPv4 client stays an IPv4 address on a socket of either family.
    let allowed =
        Redoubt::setup(&redis).set_text("listen", "[::]:0").set("allow", "[\"127.0.0.1\"]").start();
    let port = allowed.address().port();
    assert!(greets(&format!("127.0.0.1:{port}"), allowed.password()));
    let peer =
        |line: &str| lines::field(line, "peer").is_some_and(|peer| peer.starts_with("127.0.0.1:"));
    assert!(allowed.log().wait(peer).is_some());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn separate_listeners_for_ipv4_and_ipv6_may_share_a_port() {
    assert_ipv6();
    let redis = Redis::start();
    let started = (0..20).find_map(|_| {
        let port = support::redis::free_port();
        let listen = format!("[\"0.0.0.0:{port}\", \"[::]:{port}\"]");
        let redoubt = Redoubt::setup(&redis).set("listen", listen).start();
        (redoubt.address().port() == port).then_some((redoubt, port))
    });
    let (redoubt, port) = started.expect("a free port");
    for host in ["127.0.0.1", "[::1]"] {
        assert!(greets(&format!("{host}:{port}"), redoubt.password()), "{host}");
    }
}
