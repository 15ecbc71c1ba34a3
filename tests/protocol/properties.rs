//! The request parser and the reply scanner with any input in any segments, compared with
//! redis-protocol for input that both accept.

use std::collections::{HashMap, HashSet};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use redis_protocol::resp2::types::{OwnedFrame as Resp2, Resp2Frame};
use redis_protocol::resp3::types::{OwnedFrame as Resp3, Resp3Frame, VerbatimStringFormat};
use redis_protocol::{resp2, resp3};
use redoubt_core::resp::Protocol;
use redoubt_core::resp::reply::{self, Value};
use redoubt_core::resp::{
    Kind, Parsed, ReplyScanner, RequestLimits, RequestParser, encode_command, fuzz, integer,
};

fn words() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let word = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..24),
        1 => prop::collection::vec(any::<u8>(), 200..600),
        1 => Just(b"\r\n*1\r\n$1\r\n".to_vec()),
    ];
    prop::collection::vec(word, 1..12)
}

/// Generates bytes that look like requests or replies at first.
fn nearly_resp() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => "[*$:+\\-_#,(!=%~>|]-?[0-9]{0,3}\r\n".prop_map(String::into_bytes),
        4 => "\\$3\r\n[a-z]{3}\r\n".prop_map(String::into_bytes),
        2 => "\\$[0-9]{1,2}\r\n[a-z]{0,20}\r\n".prop_map(String::into_bytes),
        2 => "[a-z\"'\\\\x0 \t]{0,12}\r?\n".prop_map(String::into_bytes),
        2 => "\\*[0-4]\r[\n ]".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn resp3_frame() -> impl Strategy<Value = Resp3> {
    let data = || prop::collection::vec(any::<u8>(), 0..40);
    let line = || "[ -~]{0,30}".prop_map(String::into_bytes);
    let leaf = prop_oneof![
        data().prop_map(|data| Resp3::BlobString { data, attributes: None }),
        data().prop_map(|data| Resp3::BlobError { data, attributes: None }),
        line().prop_map(|data| Resp3::SimpleString { data, attributes: None }),
        "[ -~]{0,30}".prop_map(|data| Resp3::SimpleError { data, attributes: None }),
        any::<bool>().prop_map(|data| Resp3::Boolean { data, attributes: None }),
        Just(Resp3::Null),
        any::<i64>().prop_map(|data| Resp3::Number { data, attributes: None }),
        any::<i32>().prop_map(|n| Resp3::Double { data: f64::from(n) / 8.0, attributes: None }),
        "-?[1-9][0-9]{20,40}"
            .prop_map(|n| Resp3::BigNumber { data: n.into_bytes(), attributes: None }),
        data().prop_map(|data| Resp3::VerbatimString {
            data,
            format: VerbatimStringFormat::Text,
            attributes: None
        }),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let many = || prop::collection::vec(inner.clone(), 0..6);
        let key = "[a-z]{0,8}"
            .prop_map(|s| Resp3::SimpleString { data: s.into_bytes(), attributes: None });
        let map = prop::collection::hash_map(key, inner.clone(), 0..4);
        prop_oneof![
            many().prop_map(|data| Resp3::Array { data, attributes: None }),
            map.clone().prop_map(|map| Resp3::Map {
                data: map.into_iter().collect::<HashMap<_, _>>(),
                attributes: None
            }),
            "[a-z]{0,8}".prop_map(|s| Resp3::Set {
                data: HashSet::from([Resp3::SimpleString {
                    data: s.into_bytes(),
                    attributes: None
                }]),
                attributes: None
            }),
            (many(), map).prop_map(|(data, map)| Resp3::Array {
                data,
                attributes: (!map.is_empty()).then(|| map.into_iter().collect::<HashMap<_, _>>()),
            }),
        ]
    })
}

fn resp2_frame() -> impl Strategy<Value = Resp2> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Resp2::BulkString),
        "[ -~]{0,30}".prop_map(|s| Resp2::SimpleString(s.into_bytes())),
        "[ -~]{0,30}".prop_map(Resp2::Error),
        any::<i64>().prop_map(Resp2::Integer),
        Just(Resp2::Null),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Resp2::Array))
}

fn resp3_kind(frame: &Resp3) -> Kind {
    match frame {
        Resp3::BlobString { .. } => Kind::Bulk,
        Resp3::BlobError { .. } => Kind::BlobError,
        Resp3::SimpleString { .. } => Kind::SimpleString,
        Resp3::SimpleError { .. } => Kind::Error,
        Resp3::Boolean { .. } => Kind::Bool,
        Resp3::Null => Kind::Null,
        Resp3::Number { .. } => Kind::Integer,
        Resp3::Double { .. } => Kind::Double,
        Resp3::BigNumber { .. } => Kind::BigNumber,
        Resp3::VerbatimString { .. } => Kind::Verbatim,
        Resp3::Array { .. } => Kind::Array,
        Resp3::Map { .. } => Kind::Map,
        Resp3::Set { .. } => Kind::Set,
        other => panic!("not generated: {other:?}"),
    }
}

/// Scans `wire` in segments of `size`; returns the frames' lengths and kinds.
fn scan(wire: &[u8], size: usize) -> Vec<(usize, Kind)> {
    let mut scanner = ReplyScanner::new();
    let mut frames = vec![];
    let mut len = 0;
    for segment in wire.chunks(size) {
        let mut rest = segment;
        while !rest.is_empty() {
            let scan = scanner.scan(rest).expect("a valid reply");
            len += scan.len;
            rest = &rest[scan.len..];
            if scan.done {
                frames.push((len, scanner.kind().expect("a finished frame has a kind")));
                len = 0;
            }
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn segments_do_not_change_requests(input in nearly_resp(), mode: u8, cuts: u8) {
        fuzz::request(&[&[mode, cuts], &input[..]].concat());
    }

    #[test]
    fn segments_do_not_change_valid_requests(
        requests in prop::collection::vec(words(), 1..4), mode: u8, cuts: u8, cut in 0..9_usize,
    ) {
        let mut wire = BytesMut::from(&[mode, cuts][..]);
        for words in &requests {
            encode_command(words.iter().map(Vec::as_slice), &mut wire);
        }
        fuzz::request(&wire[..wire.len() - cut]);
    }

    #[test]
    fn segments_do_not_change_replies(input in nearly_resp(), cuts: u8) {
        fuzz::reply(&[&[0, cuts], &input[..]].concat());
    }

    #[test]
    fn random_bytes_do_not_panic_parser_or_scanner(input in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::request(&input);
        fuzz::reply(&input);
    }

    #[test]
    fn requests_agree_with_redis_protocol(words in words()) {
        let mut wire = BytesMut::new();
        encode_command(words.iter().map(Vec::as_slice), &mut wire);
        let frame = Resp2::Array(words.iter().cloned().map(Resp2::BulkString).collect());
        let mut theirs = vec![0; frame.encode_len(false)];
        resp2::encode::encode(&mut theirs, &frame, false).expect("room");
        prop_assert_eq!(&wire[..], &theirs[..]);

        let decoded = resp2::decode::decode(&wire).expect("valid").expect("complete");
        prop_assert_eq!(decoded, (frame, wire.len()));
        let mut parser = RequestParser::new();
        let parsed = parser.parse(&wire, &RequestLimits::AUTHENTICATED);
        prop_assert_eq!(parsed, Ok(Parsed::Request { len: wire.len() }));
        prop_assert!(parser.request(&wire).args().eq(words.iter().map(Vec::as_slice)));
    }

    #[test]
    fn resp2_frames_agree_with_redis_protocol(
        frames in prop::collection::vec(resp2_frame(), 1..4), size in 1..40_usize,
    ) {
        let mut wire = BytesMut::new();
        let mut lens = vec![];
        for frame in &frames {
            let mut bytes = vec![0; frame.encode_len(false)];
            resp2::encode::encode(&mut bytes, frame, false).expect("room");
            lens.push(bytes.len());
            wire.extend_from_slice(&bytes);
        }
        let found: Vec<usize> = scan(&wire, size).into_iter().map(|(len, _)| len).collect();
        prop_assert_eq!(&found, &lens);
        let first = resp2::decode::decode(&wire).expect("valid").expect("complete");
        prop_assert_eq!(first.1, found[0]);
    }

    #[test]
    fn resp3_frames_agree_with_redis_protocol(
        frames in prop::collection::vec(resp3_frame(), 1..4), size in 1..40_usize,
    ) {
        let mut wire = vec![];
        let mut expected = vec![];
        for frame in &frames {
            let mut bytes = vec![0; frame.encode_len(false)];
            resp3::encode::complete::encode(&mut bytes, frame, false).expect("room");
            expected.push((bytes.len(), resp3_kind(frame)));
            wire.extend_from_slice(&bytes);
        }
        prop_assert_eq!(scan(&wire, size), expected);
    }

    #[test]
    fn integers_are_parsed_only_in_their_printed_form(text in "[-+ 0-9a]{0,21}", value: i64) {
        prop_assert_eq!(integer::parse(value.to_string().as_bytes()), Some(value));
        let printed = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
        prop_assert_eq!(integer::parse(text.as_bytes()), printed);
    }

    #[test]
    fn composed_replies_decode_to_their_values(integer: i64, bulk: Vec<u8>) {
        let values = [Value::Integer(integer), Value::Bulk(&bulk), Value::Null];
        let wire: Bytes = reply::compose(&Value::Array(&values), Protocol::Resp2);
        let (decoded, len) = resp2::decode::decode(&wire).expect("valid").expect("complete");
        prop_assert_eq!(len, wire.len());
        let expected =
            Resp2::Array(vec![Resp2::Integer(integer), Resp2::BulkString(bulk), Resp2::Null]);
        prop_assert_eq!(decoded, expected);
    }
}
