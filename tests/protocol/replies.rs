//! Replies, by the public interface of the scanner: kinds, first elements, integers, and invalid bytes.

use redoubt_core::resp::{Head, Kind, Part, ReplyError, ReplyScanner, Scan};

/// Scans `wire`, which is one frame, at once and byte by byte; returns the scanner at its end.
fn frame(wire: &[u8]) -> ReplyScanner {
    let mut whole = ReplyScanner::new();
    let scan = whole.scan(&[wire, b"+NEXT\r\n"].concat());
    assert_eq!(scan, Ok(Scan { len: wire.len(), done: true }), "{}", wire.escape_ascii());
    let mut bytes = ReplyScanner::new();
    for (index, byte) in wire.iter().enumerate() {
        let done = index + 1 == wire.len();
        assert_eq!(bytes.scan(&[*byte]), Ok(Scan { len: 1, done }));
    }
    assert_eq!(bytes.kind(), whole.kind());
    assert!(bytes.head() == whole.head());
    assert_eq!(bytes.last_integer(), whole.last_integer());
    whole
}

#[test]
fn the_kind_of_a_reply_is_that_of_its_top_level_value() {
    for (wire, kind) in [
        (&b"+OK\r\n"[..], Kind::SimpleString),
        (b"-ERR x\r\n", Kind::Error),
        (b":-5\r\n", Kind::Integer),
        (b"$0\r\n\r\n", Kind::Bulk),
        (b"$-1\r\n", Kind::Null),
        (b"*-1\r\n", Kind::Null),
        (b"_\r\n", Kind::Null),
        (b"*0\r\n", Kind::Array),
        (b"*2\r\n$-1\r\n*1\r\n:1\r\n", Kind::Array),
        (b"%1\r\n+k\r\n*1\r\n:1\r\n", Kind::Map),
        (b"~1\r\n#t\r\n", Kind::Set),
        (b">1\r\n+x\r\n", Kind::Push),
        (b",-1.5e3\r\n", Kind::Double),
        (b",nan\r\n", Kind::Double),
        (b"(1234567890123456789012\r\n", Kind::BigNumber),
        (b"#f\r\n", Kind::Bool),
        (b"!5\r\nERR x\r\n", Kind::BlobError),
        (b"=7\r\ntxt:abc\r\n", Kind::Verbatim),
        (b"|1\r\n+a\r\n*1\r\n+b\r\n:7\r\n", Kind::Integer),
        (b"|0\r\n|1\r\n+a\r\n+b\r\n$1\r\nx\r\n", Kind::Bulk),
        (b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", Kind::Array),
    ] {
        assert_eq!(frame(wire).kind(), Some(kind), "{}", wire.escape_ascii());
    }
}

#[test]
fn the_head_of_a_reply_is_its_first_element_if_a_short_string() {
    for (wire, word) in [
        (&b"*2\r\n$7\r\nmessage\r\n:1\r\n"[..], Some(&b"message"[..])),
        (b">2\r\n+sunsubscribe\r\n:1\r\n", Some(b"sunsubscribe")),
        (b"*1\r\n$16\r\n0123456789abcdef\r\n", Some(b"0123456789abcdef")),
        (b"*1\r\n+0123456789abcdef\r\n", Some(b"0123456789abcdef")),
        (b"*1\r\n+a\rb\r\r\n", Some(b"a\rb\r")),
        (b"*1\r\n$0\r\n\r\n", Some(b"")),
        (b"*1\r\n|1\r\n+key\r\n*1\r\n+no\r\n$3\r\nyes\r\n", Some(b"yes")),
        (b"|1\r\n+key\r\n*1\r\n+no\r\n*1\r\n$3\r\nyes\r\n", Some(b"yes")),
        (b"*1\r\n$17\r\n0123456789abcdefg\r\n", None),
        (b"*1\r\n+0123456789abcdefg\r\n", None),
        (b"*2\r\n*1\r\n$2\r\nno\r\n$2\r\nno\r\n", None),
        (b"*2\r\n:1\r\n$2\r\nno\r\n", None),
        (b"*2\r\n$-1\r\n$2\r\nno\r\n", None),
        (b"*2\r\n*0\r\n$2\r\nno\r\n", None),
        (b"*1\r\n-no\r\n", None),
        (b"*0\r\n", None),
        (b"~1\r\n+no\r\n", None),
        (b"$2\r\nno\r\n", None),
    ] {
        let scanner = frame(wire);
        let expected = word.map_or(Head::Other, Head::Word);
        assert!(scanner.head() == expected, "{}: {:?}", wire.escape_ascii(), scanner.head());
    }
}

#[test]
fn the_head_of_a_reply_is_pending_until_it_is_complete() {
    let mut scanner = ReplyScanner::new();
    for part in [&b"*2"[..], b"\r\n", b"$3\r\n", b"fo", b"o"] {
        assert_eq!(scanner.scan(part), Ok(Scan { len: part.len(), done: false }));
        assert!(scanner.head() == Head::Pending, "after {}", part.escape_ascii());
    }
    assert_eq!(scanner.scan(b"\r\n"), Ok(Scan { len: 2, done: false }));
    assert!(scanner.head() == Head::Word(b"foo"));
    assert_eq!(scanner.kind(), Some(Kind::Array));
}

#[test]
fn text_of_errors_is_told_from_the_rest_of_a_reply_at_any_depth() {
    let wire = b"*4\r\n$3\r\n-no\r\n-ERR a\r\n*1\r\n-b\r\r\n+-c\r\n";
    // At once, and in any two pieces.
    for cut in 0..wire.len() {
        let mut scanner = ReplyScanner::new();
        let (mut text, mut ends, mut seen) = (Vec::new(), Vec::new(), 0);
        for mut piece in [&wire[..cut], &wire[cut..]] {
            while !piece.is_empty() {
                let Part { scan, is_error_text } = scanner.scan_part(piece).unwrap();
                let (now, after) = piece.split_at(scan.len);
                if is_error_text {
                    text.extend_from_slice(now);
                    ends.extend((!scanner.is_in_error_text()).then_some(text.len()));
                }
                seen += scan.len;
                assert_eq!(scan.done, seen == wire.len());
                piece = after;
            }
        }
        assert_eq!(text, b"ERR a\r\nb\r\r\n", "{cut}");
        assert_eq!(ends, [7, 11], "{cut}");
        assert_eq!(scanner.kind(), Some(Kind::Array));
    }
}

#[test]
fn the_last_integer_has_any_depth_and_belongs_to_the_current_frame() {
    let mut scanner = frame(b"*3\r\n:1\r\n*1\r\n:-9223372036854775808\r\n+x\r\n");
    assert_eq!(scanner.last_integer(), Some(i64::MIN));
    assert_eq!(scanner.scan(&[]), Ok(Scan { len: 0, done: false }));
    assert_eq!(scanner.last_integer(), Some(i64::MIN));
    assert_eq!(scanner.scan(b"+OK\r\n"), Ok(Scan { len: 5, done: true }));
    assert_eq!(scanner.last_integer(), None);
}

#[test]
fn depth_and_size_of_replies_allocate_nothing() {
    let mut deep = b"*1\r\n".repeat(1_000_000);
    deep.extend(b":1\r\n");
    assert_eq!(frame(&deep).kind(), Some(Kind::Array));
    let mut scanner = ReplyScanner::new();
    assert!(scanner.scan(b"$9223372036854775807\r\nx").is_ok_and(|scan| !scan.done));
}

#[test]
fn invalid_reply_bytes_are_rejected() {
    for (wire, error) in [
        (&b"?\r\n"[..], ReplyError::Type(b'?')),
        (b"OK\r\n", ReplyError::Type(b'O')),
        (b"\r\n", ReplyError::Type(b'\r')),
        (b"$?\r\n", ReplyError::Streamed),
        (b"*?\r\n", ReplyError::Streamed),
        (b"%?\r\n", ReplyError::Streamed),
        (b"*1\r\n;1\r\nx\r\n", ReplyError::Streamed),
        (b".\r\n", ReplyError::Streamed),
        (b"$-2\r\n", ReplyError::Number),
        (b"$+1\r\n", ReplyError::Number),
        (b"$01\r\n", ReplyError::Number),
        (b"$\r\n", ReplyError::Number),
        (b"%-1\r\n", ReplyError::Number),
        (b":1.5\r\n", ReplyError::Number),
        (b":9223372036854775808\r\n", ReplyError::Number),
        (b":1111111111111111111111111\r\n", ReplyError::Number),
        (b":1\n", ReplyError::Terminator),
        (b"$1\r\nxy\r\n", ReplyError::Terminator),
        (b"$1\r\nx\rz", ReplyError::Terminator),
        (b"_1\r\n", ReplyError::Constant),
        (b"#1\r\n", ReplyError::Constant),
        (b"%9223372036854775807\r\n%9223372036854775807\r\n", ReplyError::TooMany),
    ] {
        assert_eq!(ReplyScanner::new().scan(wire), Err(error), "{}", wire.escape_ascii());
        let mut scanner = ReplyScanner::new();
        let found = wire.iter().find_map(|byte| scanner.scan(&[*byte]).err());
        assert_eq!(found, Some(error), "{}", wire.escape_ascii());
    }
}
