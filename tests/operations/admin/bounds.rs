//! Requests to the admin port have limited cost, and keep no other client out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::http::{http, http_get};
use support::{Redis, Redoubt, TIME_LIMIT, now, since};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn silent_admin_connections_do_not_block_others() {
    let redoubt = Redoubt::start(&Redis::start());
    let connect = || TcpStream::connect(redoubt.admin()).expect("connect");
    let mut idle: Vec<_> = (0..100).map(|_| connect()).collect();
    for stream in &mut idle {
        // Some connections are closed already.
        let _ = stream.write_all(b"GET /livez HT");
    }
    assert_eq!(http_get(redoubt.admin(), "/livez").0, 200);
    // The oldest connections were closed, at once.
    let began = now();
    for stream in &mut idle[..80] {
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "closed");
    }
    assert!(since(began) < 4.0, "the oldest connections were closed at once");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn slow_admin_request_headers_have_a_time_limit() {
    let redoubt = Redoubt::start(&Redis::start());
    let mut slow = TcpStream::connect(redoubt.admin()).expect("connect");
    let mut kept = TcpStream::connect(redoubt.admin()).expect("connect");
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    slow.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
    let began = now();
    while since(began) < TIME_LIMIT.as_secs_f64() {
        let is_sent = slow.write_all(b"X").is_ok();
        match slow.read(&mut [0; 256]) {
            Err(error) if is_sent && error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    assert!((3.0..9.0).contains(&since(began)), "closed after {}", since(began));
    // A connection without a further request is closed too.
    kept.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    assert!(since(began) < 9.0, "closed after {}", since(began));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_admin_port_rejects_bytes_that_are_not_http() {
    let redoubt = Redoubt::start(&Redis::start());
    let address = redoubt.admin();
    let long = "x".repeat(20_000);
    for (request, status) in [
        ("PING\r\n\r\n".to_owned(), 400),
        ("*1\r\n$4\r\nPING\r\n".to_owned(), 400),
        ("GET /livez HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("GET /livez HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
        (format!("GET /livez HTTP/1.1\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200)), 431),
    ] {
        let begin = &request[..request.len().min(40)];
        assert_eq!(http(address, &request).0, status, "{begin:?}");
        assert_eq!(http_get(address, "/livez").0, 200, "after {begin:?}");
    }
}
