//! The paths of the admin port, and which clients may use them.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Socket, Type};

use support::http::{http, http_get, read_answer};
use support::{Redis, Redoubt};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_admin_port_serves_metrics_unless_disabled() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let (status, headers, body) = http_get(redoubt.admin(), "/metrics");
    assert_eq!(status, 200);
    assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
    assert!(body.contains("\nredoubt_build_info{"), "{body}");
    let redoubt = Redoubt::setup(&redis).set("metrics.enabled", false).start();
    let (status, _, body) = http_get(redoubt.admin(), "/metrics");
    assert_eq!(status, 404);
    assert!(body.contains("/readyz\n") && !body.contains("/metrics"), "{body}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_admin_port_answers_404_and_405() {
    let redoubt = Redoubt::start(&Redis::start());
    let address = redoubt.admin();
    let ask = |line: &str, headers: &str| {
        http(
            address,
            &format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"),
        )
    };
    let (status, headers, body) = ask("GET /", "");
    assert_eq!(status, 404);
    assert!(body.starts_with("/livez\n/readyz\n/metrics\n"), "{body}");
    assert!(headers.contains("cache-control: no-store"), "{headers}");
    assert_eq!(ask("GET /livez/", "").0, 404);
    assert_eq!(ask("GET //livez", "").0, 404);
    assert_eq!(ask("GET /livez?verbose", "").0, 200, "a query changes nothing");
    for (line, allowed) in
        [("POST /livez", "get, head"), ("PUT /metrics", "get, head"), ("GET /reload", "post")]
    {
        let (status, headers, _) = ask(line, "");
        assert_eq!(status, 405, "{line}");
        assert!(headers.contains(&format!("allow: {allowed}")), "{line}: {headers}");
    }
    let (status, headers, body) = ask("HEAD /livez", "");
    assert_eq!((status, &*body), (200, ""));
    assert!(headers.contains("content-length: 3"), "{headers}");
    assert_eq!(ask("GET /livez", "Content-Length: 5\r\n").0, 413, "a body, which is not awaited");
    assert_eq!(ask("GET /livez", "Transfer-Encoding: chunked\r\n").0, 413);
    assert_eq!(ask("GET /livez", "Content-Length: 0\r\n").0, 200);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn only_this_machine_may_request_a_reload_and_web_pages_may_not() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("admin.listen", "0.0.0.0:0").start();
    let address: SocketAddr = ([127, 0, 0, 1], redoubt.admin().port()).into();
    let warned = |line: &str| line.contains("other machines can read");
    assert!(redoubt.log().all().iter().any(|line| warned(line)), "a warning");
    let ask = |host: &str, headers: &str| {
        http(
            address,
            &format!("POST /reload HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"),
        )
    };
    let (status, _, body) = ask("127.0.0.1", "Origin: http://127.0.0.1\r\n");
    assert_eq!((status, &*body), (403, "not for web pages\n"));
    assert_eq!(ask("evil.example", "").0, 403);
    assert_ne!(ask("localhost", "").0, 403);
    let Some(own) = own_address() else { return };
    // The request comes from another address than loopback, as from another machine.
    let from_outside = |request: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        read_answer(
            socket.into(),
            &format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        )
    };
    let (status, _, body) = from_outside("POST /reload");
    assert_eq!((status, &*body), (403, "only for programs on this machine\n"));
    assert_eq!(from_outside("GET /livez").0, 200);
    assert_eq!(from_outside("GET /metrics").0, 200);
}

/// Returns an address of this machine that is not loopback, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only selects the local address that it would use.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|own| !own.is_loopback())
}
