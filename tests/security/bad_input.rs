//! Bytes that no client library sends: each gets a Redis error or a close, memory stays bounded, and
//! another session is not affected.

use support::rng::Rng;
use support::{Redis, Redoubt, Wire, frame, shown, target_is_redis};

/// Most bytes by which Redoubt may grow under any of these inputs.
const GROWTH: u64 = 48 << 20;

/// Runs `attack` while another session keeps working, and checks the cost.
fn beside_a_session(attack: impl FnOnce(&Redoubt)) {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "mine", "value"]), b"+OK\r\n");
    let idle = redoubt.rss();

    attack(&redoubt);

    assert_eq!(session.command(&["GET", "mine"]), frame::bulk(b"value"));
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    if !target_is_redis() {
        let grown = redoubt.peak_rss().saturating_sub(idle);
        assert!(grown < GROWTH, "grew by {} KiB", grown / 1024);
    }
}

/// Returns an unauthenticated and an authenticated connection.
fn both(redoubt: &Redoubt) -> [Wire; 2] {
    [redoubt.connect(), redoubt.session()]
}

/// Sends `bytes` and the end of sending. Returns the bytes that came back before the close.
fn reply_to(mut wire: Wire, bytes: &[u8]) -> Vec<u8> {
    assert!(wire.exchange(bytes, bytes.len().max(1), true, |_| false), "it does not close");
    wire.read_to_close()
}

/// Sends `bytes` and waits for the close.
fn closes_on(mut wire: Wire, bytes: &[u8]) -> Vec<u8> {
    assert!(wire.exchange(bytes, bytes.len(), false, |_| false), "it does not close");
    wire.read_to_close()
}

/// Checks that all replies are errors.
#[track_caller]
fn assert_errors(reply: &[u8]) {
    for line in reply.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.starts_with(b"-") && line.ends_with(b"\r\n"), "{}", shown(reply));
    }
}

#[test]
fn random_bytes_get_errors_and_cost_no_memory() {
    beside_a_session(|redoubt| {
        let mut random = Rng::new(0x5eed);
        for _ in 0..100 {
            for wire in both(redoubt) {
                let length = random.next() % 4096;
                assert_errors(&reply_to(wire, &random.bytes(length as usize)));
            }
        }
    });
}

#[test]
fn random_bytes_that_begin_like_a_request_get_errors_and_cost_no_memory() {
    beside_a_session(|redoubt| {
        let mut random = Rng::new(0xbad5eed);
        for begin in
            ["*", "*3\r\n", "*1\r\n$", "*2\r\n$4\r\nECHO\r\n", "*2\r\n$4\r\nNONE\r\n$9\r\n"]
        {
            for _ in 0..20 {
                for wire in both(redoubt) {
                    let bytes = [begin.as_bytes(), &random.bytes(300)].concat();
                    assert_errors(&reply_to(wire, &bytes));
                }
            }
        }
    });
}

#[test]
fn http_requests_are_closed() {
    let get = b"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";
    let post = b"POST /x HTTP/1.1\r\nHost: example.com\r\nContent-Length: 24\r\n\r\n\
                 SET k v\r\nGET k\r\nFLUSHALL\r\n";
    beside_a_session(|redoubt| {
        for wire in both(redoubt) {
            assert_errors(&closes_on(wire, get));
        }
        for wire in both(redoubt) {
            assert_errors(&closes_on(wire, post));
        }
        assert_eq!(redoubt.session().command(&["EXISTS", "k"]), b":0\r\n");
    });
}

#[test]
fn a_tls_client_hello_on_a_plain_port_costs_nothing() {
    // The bytes are a TLS 1.2 record with a ClientHello: version, random, no session, two ciphers, one
    // compression method, and the extension server_name of example.com.
    let mut body = vec![3, 3];
    body.extend(Rng::new(1).bytes(32));
    body.extend([0, 0, 4, 0x13, 1, 0x13, 2, 1, 0, 0, 20, 0, 0, 0, 16, 0, 14, 0, 0, 11]);
    body.extend(b"example.com");
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    beside_a_session(|redoubt| {
        for wire in both(redoubt) {
            assert_errors(&reply_to(wire, &hello));
        }
    });
}

#[test]
fn truncated_requests_get_no_reply_and_run_nothing() {
    let whole = frame::request(&["SET", "cut", "a value\r\nof two lines"]);
    beside_a_session(|redoubt| {
        for length in 0..whole.len() {
            for wire in both(redoubt) {
                let reply = reply_to(wire, &whole[..length]);
                assert_eq!(reply, b"", "after {length} bytes: {}", shown(&reply));
            }
        }
        assert_eq!(redoubt.session().command(&["EXISTS", "cut"]), b":0\r\n");
    });
}

#[test]
fn a_million_nested_arrays_cost_no_memory() {
    let bytes = b"*1\r\n".repeat(1_000_000);
    beside_a_session(|redoubt| {
        for wire in both(redoubt) {
            let reply = closes_on(wire, &bytes);
            assert_eq!(
                reply,
                b"-ERR Protocol error: expected '$', got '*'\r\n",
                "{}",
                shown(&reply)
            );
        }
    });
}

#[test]
fn a_million_empty_requests_cost_no_memory() {
    let bytes = b"*0\r\n\r\n*-1\r\n".repeat(300_000);
    beside_a_session(|redoubt| {
        for wire in both(redoubt) {
            assert_eq!(reply_to(wire, &bytes), b"");
        }
    });
}

#[test]
fn a_million_empty_arguments_cost_bounded_memory() {
    let mut bytes = b"*1000001\r\n$3\r\nDEL\r\n".to_vec();
    bytes.extend(b"$0\r\n\r\n".repeat(1_000_000));
    beside_a_session(|redoubt| {
        let [unknown, known] = both(redoubt);
        let refused = closes_on(unknown, &bytes);
        assert_eq!(refused, b"-ERR Protocol error: unauthenticated multibulk length\r\n");
        assert_eq!(reply_to(known, &bytes), b":0\r\n");
    });
}

#[test]
fn lengths_beyond_the_limits_are_protocol_errors() {
    let cases: [(&[u8], [&str; 2]); 5] = [
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2147483648\r\n", ["invalid bulk", "invalid bulk"]),
        (b"*2\r\n$3\r\nGET\r\n$20000\r\n$x", ["unauthenticated bulk", ""]),
        (b"*2\r\n$99999999999999999999\r\n", ["invalid bulk", "invalid bulk"]),
        (b"*2147483648\r\n", ["invalid multibulk", "invalid multibulk"]),
        (b"*2147483647\r\n$x\r\n", ["unauthenticated multibulk", "invalid bulk"]),
    ];
    beside_a_session(|redoubt| {
        for (bytes, errors) in cases {
            let faulty =
                both(redoubt).into_iter().zip(errors).filter(|(_, error)| !error.is_empty());
            for (wire, error) in faulty {
                let reply = closes_on(wire, bytes);
                let wanted = format!("-ERR Protocol error: {error} length\r\n");
                assert!(reply == wanted.as_bytes(), "{}: {}", shown(bytes), shown(&reply));
            }
        }
    });
}

#[test]
fn announced_lengths_without_data_cost_no_memory() {
    beside_a_session(|redoubt| {
        let mut waiting = Vec::new();
        for _ in 0..50 {
            let mut wire = redoubt.session();
            wire.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
            wire.send(&[b'x'; 100_000]);
            waiting.push(wire);
            let mut wire = redoubt.session();
            wire.send(b"*2147483647\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
            waiting.push(wire);
        }
        // The half-open connections are still open, and none has been answered.
        assert_eq!(redoubt.session().command(&["EXISTS", "k"]), b":0\r\n");
        for wire in waiting {
            assert_eq!(reply_to(wire, b""), b"");
        }
    });
}

#[test]
fn half_open_connections_cost_bounded_memory() {
    beside_a_session(|redoubt| {
        let mut silent = Vec::new();
        for _ in 0..150 {
            let [unknown, known] = both(redoubt);
            silent.extend([unknown, known]);
            let mut half = redoubt.connect();
            half.send(b"*2\r\n$4\r\nAU");
            silent.push(half);
        }
        let mut session = redoubt.session();
        for number in 0..500 {
            let text = number.to_string();
            assert_eq!(session.command(&["ECHO", &text]), frame::bulk(text.as_bytes()));
        }
        drop(silent);
    });
}
