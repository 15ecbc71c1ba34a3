//! Requests, by the public interface of the parser: complete, empty, and too large to wait for.

use bytes::BytesMut;
use redoubt_core::resp::{Parsed, ProtocolError, RequestLimits, RequestParser, Streamed};

const AUTH: RequestLimits = RequestLimits::AUTHENTICATED;

fn words<'a>(parser: &'a RequestParser, input: &'a [u8]) -> Vec<&'a [u8]> {
    parser.request(input).args().collect()
}

#[test]
fn a_request_is_found_with_its_arguments() {
    let input = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1\r\n";
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(input, &AUTH), Ok(Parsed::Request { len: 22 }));
    assert_eq!(words(&parser, input), [&b"GET"[..], b"key"]);
    let request = parser.request(input);
    assert_eq!((request.declared(), request.len(), request.is_cut()), (2, 2, false));
    assert_eq!(
        (request.name(), request.arg(1), request.arg(2)),
        (&b"GET"[..], Some(&b"key"[..]), None)
    );
    let mut out = BytesMut::from(&b"before "[..]);
    request.write_to(&mut out);
    assert_eq!(out, [b"before ", &input[..22]].concat());
    assert_eq!(parser.parse(&input[22..], &AUTH), Ok(Parsed::Incomplete));
}

#[test]
fn non_canonical_requests_are_encoded_again() {
    for input in [
        &b"GET  'key'\n"[..],
        b"*2\rX$3\r\nGET\r\n$3\r\nkey\r\n",
        b"*2\r\n$3\r\0GET\r\n$3\r\nkey\r\n",
        b"*2\r\n$3\r\nGET\r\n$3\r\nkeyXY",
        b"*2\r\n$3\r\nGET\n\n$3\r\nkey\r\n",
    ] {
        let mut parser = RequestParser::new();
        assert_eq!(parser.parse(input, &AUTH), Ok(Parsed::Request { len: input.len() }));
        let mut out = BytesMut::new();
        parser.request(input).write_to(&mut out);
        assert_eq!(&out[..], b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", "{}", input.escape_ascii());
    }
}

#[test]
fn a_large_request_is_reported_early_and_streamed() {
    let mut wire = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100000\r\n".to_vec();
    wire.extend(vec![b'v'; 100_000]);
    wire.extend(b"\r\n");
    let next = b"*1\r\n$4\r\nPING\r\n";
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(&wire[..65_536], &AUTH), Ok(Parsed::Incomplete));
    assert_eq!(parser.parse(&wire[..65_537], &AUTH), Ok(Parsed::Large));
    let request = parser.request(&wire[..65_537]);
    assert_eq!((request.declared(), request.len(), request.is_cut()), (3, 3, true));
    assert_eq!((request.name(), request.arg(1)), (&b"SET"[..], Some(&b"key"[..])));
    assert!(request.arg(2).is_some_and(|value| value.len() < 65_537));

    let passed = parser.stream(&wire[..65_537], &AUTH);
    assert_eq!(passed, Ok(Streamed { len: 65_537, last: None, done: false }));
    assert_eq!(parser.stream(&[], &AUTH), Ok(Streamed { len: 0, last: None, done: false }));
    let rest = [&wire[65_537..], next].concat();
    let passed = parser.stream(&rest, &AUTH);
    assert_eq!(passed, Ok(Streamed { len: wire.len() - 65_537, last: None, done: true }));
    assert_eq!(parser.parse(next, &AUTH), Ok(Parsed::Request { len: next.len() }));
    assert_eq!(words(&parser, next), [b"PING"]);
}

#[test]
fn a_large_request_can_be_parsed_when_complete() {
    let limits = RequestLimits { stream_at: 20, ..AUTH };
    let wire = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    let mut parser = RequestParser::new();
    for len in 0..wire.len() {
        let parsed = parser.parse(&wire[..len], &limits).expect("valid");
        assert!(matches!(parsed, Parsed::Incomplete | Parsed::Large));
        assert_eq!(parsed == Parsed::Large, len > 20, "at {len}");
    }
    assert_eq!(parser.parse(wire, &limits), Ok(Parsed::Request { len: wire.len() }));
    assert_eq!(words(&parser, wire), [&b"SET"[..], b"key", b"value"]);
    assert!(!parser.request(wire).is_cut());
}

#[test]
fn a_large_request_is_streamed_with_canonical_line_ends() {
    let wire = b"*3\rx$3\rxSET\r\n$1\r\nkAB$6\rxvalues\rC";
    let wanted = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\nvalues\r\n";
    for first in 29..wire.len() {
        for step in [1, 2, 5, 100] {
            let limits = RequestLimits { stream_at: first - 1, ..AUTH };
            let mut parser = RequestParser::new();
            assert_eq!(parser.parse(&wire[..first], &limits), Ok(Parsed::Large), "at {first}");
            let (mut sent, mut from, mut until) = (Vec::new(), 0, first);
            loop {
                let piece = parser.stream(&wire[from..until], &limits).expect("valid");
                sent.extend_from_slice(&wire[from..from + piece.len]);
                if let Some(last) = piece.last {
                    *sent.last_mut().expect("a byte before") = last;
                }
                from += piece.len;
                if piece.done {
                    break;
                }
                if piece.len == 0 {
                    until = wire.len().min(until + step);
                }
            }
            assert_eq!(sent.escape_ascii().to_string(), wanted.escape_ascii().to_string());
            assert_eq!(from, wire.len());
        }
    }
}

#[test]
fn a_bad_line_end_in_a_streamed_request_is_an_error_where_the_server_checks_it() {
    let limits = RequestLimits { stream_at: 20, crlf: true, ..AUTH };
    for end in [&b"A\n"[..], b"\rA", b"AB"] {
        let wire = [b"*2\r\n$3\r\nGET\r\n$9\r\nvalues", &b"123"[..], end].concat();
        for cut in 21..wire.len() {
            let mut parser = RequestParser::new();
            assert_eq!(parser.parse(&wire[..cut], &limits), Ok(Parsed::Large), "at {cut}");
            let passed = parser.stream(&wire[..cut], &limits).expect("valid so far");
            let result = parser.stream(&wire[passed.len..], &limits);
            assert_eq!(result, Err(ProtocolError::LineEnd), "{}", end.escape_ascii());
        }
    }
}

#[test]
fn a_length_line_is_passed_on_only_when_complete() {
    let limits = RequestLimits { stream_at: 10, ..AUTH };
    let mut parser = RequestParser::new();
    let start = b"*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1";
    assert_eq!(parser.parse(start, &limits), Ok(Parsed::Large));
    assert_eq!(words(&parser, start), [&b"DEL"[..], b"a"]);
    assert!(!parser.request(start).is_cut());
    let passed = parser.stream(start, &limits);
    assert_eq!(passed, Ok(Streamed { len: start.len() - 2, last: None, done: false }));
    assert_eq!(parser.stream(b"$1\r", &limits), Ok(Streamed { len: 0, last: None, done: false }));
    assert_eq!(parser.stream(b"$1\r\n", &limits), Ok(Streamed { len: 4, last: None, done: false }));
    assert_eq!(parser.stream(b"b\r", &limits), Ok(Streamed { len: 2, last: None, done: false }));
    assert_eq!(
        parser.stream(b"\n*1\r\n", &limits),
        Ok(Streamed { len: 1, last: None, done: true })
    );
}

#[test]
fn a_large_request_is_reported_only_with_a_complete_subcommand() {
    let limits = RequestLimits { stream_at: 64, ..AUTH };
    let mut parser = RequestParser::new();
    let mut input = b"*3\r\n$6\r\nCONFIG\r\n$3\0".to_vec();
    input.resize(60_000, b' ');
    assert_eq!(parser.parse(&input, &limits), Ok(Parsed::Incomplete));
    input.resize(70_000, b' ');
    assert_eq!(parser.parse(&input, &limits), Err(ProtocolError::BulkTooBig));
}

#[test]
fn a_client_that_has_not_authenticated_is_never_streamed() {
    let mut wire = b"*10\r\n".to_vec();
    for _ in 0..10 {
        wire.extend(b"$16384\r\n");
        wire.extend([b'x'; 16_384]);
        wire.extend(b"\r\n");
    }
    let mut parser = RequestParser::new();
    let limits = RequestLimits::UNAUTHENTICATED;
    assert_eq!(parser.parse(&wire[..wire.len() - 1], &limits), Ok(Parsed::Incomplete));
    assert_eq!(parser.parse(&wire, &limits), Ok(Parsed::Request { len: wire.len() }));
}

#[test]
fn a_million_nested_headers_cost_one_error() {
    let input = b"*1\r\n".repeat(1_000_000);
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(&input, &AUTH), Err(ProtocolError::ExpectedBulk(b'*')));
}

#[test]
fn debug_output_of_a_request_shows_no_argument() {
    let input = b"AUTH hunter2\n";
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(input, &AUTH), Ok(Parsed::Request { len: input.len() }));
    let shown = format!("{parser:?} {:?}", parser.request(input));
    assert!(!shown.contains("hunter") && !shown.contains("104"), "{shown}");
}

#[test]
fn an_inline_request_has_no_more_arguments_than_others_before_auth() {
    let limits = RequestLimits::UNAUTHENTICATED;
    let parse = |line: &str, limits: &RequestLimits| {
        let mut parser = RequestParser::new();
        let parsed = parser.parse(line.as_bytes(), limits);
        assert!(parser.memory() < 40 << 10, "{} bytes", parser.memory());
        parsed.map(|_| ())
    };
    let words = |count| format!("{}\r\n", "a ".repeat(count));
    assert_eq!(parse(&words(10), &limits), Ok(()));
    for count in [11, 32_000] {
        assert_eq!(parse(&words(count), &limits), Err(ProtocolError::CountUnauthenticated));
    }
    // The configured limits for clients apply to both forms, too.
    let few = RequestLimits { max_args: 3, ..AUTH };
    assert_eq!(parse(&words(3), &few), Ok(()));
    assert_eq!(parse(&words(4), &few), Err(ProtocolError::CountInvalid));
}

#[test]
fn memory_of_an_unusual_request_is_freed() {
    let mut parser = RequestParser::new();
    let line = format!("{}\n", "a ".repeat(32_000));
    assert_eq!(parser.parse(line.as_bytes(), &AUTH), Ok(Parsed::Request { len: line.len() }));
    assert!(parser.memory() > 500 << 10);
    parser.release();
    assert!(parser.memory() < 4 << 10, "{} bytes", parser.memory());
}
