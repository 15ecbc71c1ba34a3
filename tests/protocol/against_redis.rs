//! The request parser, the reply scanner and the synthetic replies against a real Redis.

mod agree;
mod server;

use std::io::{Read, Write};
use std::net::TcpStream;

use agree::{agree, parse};
use bytes::BytesMut;
use proptest::prelude::*;
use redoubt_core::resp::{
    Head, Kind, ProtocolError, ReplyScanner, RequestLimits, encode_command, reply,
};
use server::Redis;

const OPEN: RequestLimits = RequestLimits { stream_at: usize::MAX, ..RequestLimits::AUTHENTICATED };
const CLOSED: RequestLimits = RequestLimits::UNAUTHENTICATED;

fn echo(header: &str) -> Vec<u8> {
    format!("*2\r\n$4\r\nECHO\r\n{header}").into_bytes()
}

fn long(start: &[u8], byte: u8, len: usize, end: &[u8]) -> Vec<u8> {
    [start, &vec![byte; len - start.len()], end].concat()
}

#[test]
fn broken_requests_get_redis_own_errors() {
    let redis = Redis::start(&[]);
    let mut inputs: Vec<Vec<u8>> = [
        &b"*\r\n"[..],
        b"*a\r\n",
        b"*+1\r\n",
        b"*01\r\n",
        b"*-0\r\n",
        b"* 1\r\n",
        b"*1 \r\n",
        b"*-\r\n",
        b"*00\r\n",
        b"*1\n\r\n",
        b"*1x\r\n",
        b"*2147483648\r\n",
        b"*9223372036854775807\r\n",
        b"*9223372036854775808\r\n",
        b"*-9223372036854775809\r\n",
        b"*123456789012345678901\r\n",
        b"*1\r\n*1\r\n",
        b"*1\r\n:4\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n\r\n",
        b"*1\r\n\n\r\n",
        b"*1\r\n\xff\r\n",
        b"*1\r\n'\r\n",
        b"ECHO \"a\r\n",
        b"ECHO 'a\r\n",
        b"ECHO \"a\"b\r\n",
        b"ECHO 'a'b\r\n",
        b"ECHO \"a\\\"\r\n",
        b"ECHO 'a\\'\r\n",
        b"ECHO \"a\\\r\n",
        b"ECHO a\"\r\n",
        b"\"\n",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .collect();
    for header in [
        "$\r\n",
        "$a\r\n",
        "$-1\r\n",
        "$-0\r\n",
        "$+3\r\n",
        "$03\r\n",
        "$ 3\r\n",
        "$3 \r\n",
        "$536870913\r\n",
        "$9223372036854775807\r\n",
        "$9223372036854775808\r\n",
        "#3\r\n",
        "3\r\n",
        "abc\r\n",
        "$3\r\nabc\r\n*1\r\n$x\r\n",
        "$3\r\nabc\r\n*x\r\n",
        "$3\r\nabc\r\nECHO '\r\n",
    ] {
        inputs.push(echo(header));
    }
    inputs.push(long(b"*", b'1', 65537, b""));
    inputs.push(long(b"*1\0\r\n", b' ', 65537, b""));
    inputs.push(long(&echo(""), b'1', echo("").len() + 65537, b""));
    inputs.push(long(&echo("$3\0\r\n"), b'1', echo("").len() + 65537, b""));
    inputs.push(long(b"ECHO ", b'a', 65537, b""));
    inputs.push(long(b"ECHO a\0\n", b'a', 65537, b""));
    for input in inputs {
        let (_, error) = parse(&input, &OPEN, input.len());
        assert!(error.is_some(), "taken: {}", input[..input.len().min(80)].escape_ascii());
        agree(&redis, &input, &OPEN);
    }
}

#[test]
fn odd_requests_are_accepted_and_incomplete_ones_wait() {
    let redis = Redis::start(&[]);
    for input in [
        &b""[..],
        b"*",
        b"*1",
        b"*1\r",
        b"*1\r\n$",
        b"*1\r\n$4\r\nPIN",
        b"*1\r\n$4\r\nPING\r",
        b"*1\0\r\n$4\r\nPING\r\n",
        b"*x",
        b"*x\r",
        b"*1\r\nx",
        b"*1\r\nx\r",
        b"ECHO a",
        b"ECHO a\0\nECHO b\n",
        b"\0\n",
        b"*0\r\n*-1\r\n*-9223372036854775808\r\n",
        b"\r\n\n \t\r\n\x0b\x0c\n",
        b"*2\rX$4\r_ECHOab$2\r\nhixy",
        b"*2\r\0$4\r\0ECHO\0\0$2\r\0hi\0\0",
        b"*2\r\n$4\r\necho\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n",
        b"ECHO \"\\x41\\x4g\\n\\r\\t\\b\\a\\\\\\\"\\q\"\n",
        b"ECHO '\\x41\\n\\'\"'\r\n",
        b"ECHO foo\"bar baz\"\n",
        b"ECHO foo'bar baz'\n",
        b"ECHO \"\"\nECHO ''\n",
        b"ECHO a\rb\r\r\n",
        b"ECHO a\x0bb\n",
        b"ECHO \x0ba\n",
        b"\x0bECHO \"a\"\x0bb\n",
        b"ECHO \xff\xfe\n",
        b" \t ECHO a \t\r\n",
        b"ECHO\n",
        b"ECHO a b\n",
        b"\"ECHO\" a\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n",
    ] {
        let (_, error) = parse(input, &OPEN, input.len().max(1));
        assert_eq!(error, None, "refused: {}", input.escape_ascii());
        agree(&redis, input, &OPEN);
    }
    agree(&redis, &long(b"ECHO ", b'a', 65535, b"\r\n"), &OPEN);
    agree(&redis, &long(&echo("$3\r\nab"), b'c', echo("$3\r\nabc").len(), b"\r\n"), &OPEN);
}

#[test]
fn unauthenticated_clients_have_smaller_limits() {
    let redis = Redis::start(&["--requirepass", "secret"]);
    for (input, expected) in [
        (&b"*11\r\n"[..], ProtocolError::CountUnauthenticated),
        (b"*2147483647\r\n", ProtocolError::CountUnauthenticated),
        (b"*2147483648\r\n", ProtocolError::CountInvalid),
        (b"*1\r\n$16385\r\n", ProtocolError::BulkUnauthenticated),
        (b"*1\r\n$536870912\r\n", ProtocolError::BulkUnauthenticated),
        (b"*1\r\n$536870913\r\n", ProtocolError::BulkInvalid),
    ] {
        assert_eq!(parse(input, &CLOSED, input.len()), (vec![], Some(expected)));
        assert_eq!(redis.answer(input), expected.reply(), "{}", input.escape_ascii());
    }
    let mut largest = BytesMut::new();
    let key = vec![b'a'; 16384];
    let args: Vec<&[u8]> =
        (0..10).map(|index| if index == 0 { b"MGET" } else { &key[..] }).collect();
    encode_command(args, &mut largest);
    assert_eq!(parse(&largest, &CLOSED, largest.len()).0.len(), 1);
    assert_eq!(redis.answer(&largest), reply::NOAUTH);
}

#[test]
fn synthetic_replies_match_redis() {
    let redis = Redis::start(&["--requirepass", "secret", "--maxclients", "2"]);
    assert_eq!(redis.answer(b"GET k\r\n"), reply::NOAUTH);
    assert_eq!(redis.answer(b"AUTH wrong\r\n"), reply::WRONGPASS);
    assert_eq!(redis.answer(b"AUTH secret\r\n"), reply::OK);
    assert_eq!(redis.answer(b"RESET\r\n"), reply::RESET);
    let held: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = redis.connect();
            stream.write_all(b"RESET\r\n").expect("input is taken");
            stream.read_exact(&mut [0; 8]).expect("a reply");
            stream
        })
        .collect();
    let mut refused = vec![];
    redis.connect().read_to_end(&mut refused).expect("output to its end");
    assert_eq!(refused, reply::MAX_CLIENTS);
    drop(held);
}

#[test]
fn every_kind_of_reply_is_scanned() {
    let redis = Redis::start(&["--enable-debug-command", "yes"]);
    let commands = [
        ("HELLO 3", Kind::Map),
        ("DEBUG PROTOCOL string", Kind::Bulk),
        ("DEBUG PROTOCOL integer", Kind::Integer),
        ("DEBUG PROTOCOL double", Kind::Double),
        ("DEBUG PROTOCOL null", Kind::Null),
        ("DEBUG PROTOCOL array", Kind::Array),
        ("DEBUG PROTOCOL set", Kind::Set),
        ("DEBUG PROTOCOL map", Kind::Map),
        ("DEBUG PROTOCOL attrib", Kind::Bulk),
        ("DEBUG PROTOCOL verbatim", Kind::Verbatim),
        ("DEBUG PROTOCOL true", Kind::Bool),
        ("DEBUG PROTOCOL false", Kind::Bool),
        ("DEBUG PROTOCOL bignum", Kind::BigNumber),
        ("COMMAND", Kind::Array),
        ("NOSUCH \"\\xff\\r\\n\"", Kind::Error),
        ("ZRANGE none 0 -1 WITHSCORES", Kind::Array),
        ("INFO", Kind::Verbatim),
        ("SUBSCRIBE news", Kind::Push),
        ("HELLO 2", Kind::Array),
        ("UNSUBSCRIBE", Kind::Array),
        ("PING", Kind::SimpleString),
        ("GET none", Kind::Null),
        ("BLPOP none 0.01", Kind::Null),
        ("SET k v", Kind::SimpleString),
        ("GET k", Kind::Bulk),
        ("COMMAND DOCS", Kind::Array),
    ];
    let input: String = commands.iter().flat_map(|(command, _)| [*command, "\r\n"]).collect();
    let mut stream = redis.connect();
    stream.write_all(format!("{input}QUIT\r\n").as_bytes()).expect("input is taken");
    let mut output = vec![];
    stream.read_to_end(&mut output).expect("output to its end");
    for size in [output.len(), 1, 7] {
        let mut scanner = ReplyScanner::new();
        let mut kinds = vec![];
        for mut segment in output.chunks(size) {
            while !segment.is_empty() {
                let scan = scanner.scan(segment).expect("Redis sends replies");
                segment = &segment[scan.len..];
                if !scan.done {
                    continue;
                }
                if scanner.kind() == Some(Kind::Push) {
                    assert!(scanner.head() == Head::Word(b"subscribe"));
                    assert_eq!(scanner.last_integer(), Some(1));
                }
                kinds.extend(scanner.kind());
            }
        }
        let expected = commands.iter().map(|(_, kind)| *kind).chain([Kind::SimpleString]);
        assert_eq!(kinds, expected.collect::<Vec<_>>());
    }
}

#[test]
fn inline_requests_are_split_as_redis_splits_them() {
    let redis = Redis::start(&[]);
    let line = "ECHO [ab\"'\\\\x4 \t\r\x0b\u{e9}]{0,14}\r?\n";
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() };
    proptest!(config, |(lines in prop::collection::vec(line, 1..4))| {
        agree(&redis, lines.concat().as_bytes(), &OPEN);
    });
}
