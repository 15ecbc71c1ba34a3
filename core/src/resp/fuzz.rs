//! Entry points of the fuzz targets: each panics when an invariant of this module does not hold.
//!
//! The first byte selects limits, the second the segments; the rest is the bytes of a peer. `cargo
//! test` replays the corpus in `fuzz/corpus`.

use bytes::BytesMut;

use super::{
    Kind, Parsed, ProtocolError, ReplyError, ReplyScanner, Request, RequestLimits, RequestParser,
    encode_command,
};

/// A result of parsing a client's bytes.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A request that ends before this offset and has these arguments.
    Request(usize, Vec<Vec<u8>>),
    Empty(usize),
    Error(ProtocolError),
}

/// Checks requests: any division into segments, streamed or not, gives the same requests and the same
/// error as the whole input, and a request that is written to a link parses as the same request again;
/// both for servers that check line ends and for others.
pub fn request(data: &[u8]) {
    let [mode, cuts, input @ ..] = data else { return };
    for crlf in [false, true] {
        let mut limits = RequestLimits { crlf, ..RequestLimits::AUTHENTICATED };
        if mode & 1 == 0 {
            limits = RequestLimits { crlf, ..RequestLimits::UNAUTHENTICATED };
        }
        request_within(&limits, usize::from(mode >> 1), *cuts, input);
    }
}

fn request_within(limits: &RequestLimits, stream_at: usize, cuts: u8, input: &[u8]) {
    let whole = RequestLimits { stream_at: usize::MAX, ..*limits };
    let expected = requests(input, &whole, Segments(0));
    assert_eq!(expected, requests(input, &whole, Segments(cuts)), "segments change requests");
    for found in &expected {
        if let Found::Request(_, args) = found {
            written_on(args);
        }
    }
    let streaming = RequestLimits { stream_at, ..*limits };
    let streamed = requests(input, &streaming, Segments(cuts));
    assert_eq!(streamed.len(), expected.len(), "streaming changes requests");
    for pair in streamed.iter().zip(&expected) {
        match pair {
            // For a streamed request, only the part is compared that was parsed before streaming began.
            (Found::Request(end, seen), Found::Request(until, args)) => {
                assert_eq!(end, until, "streaming changes where a request ends");
                assert!(seen.len() <= args.len());
                assert!(seen.iter().zip(args).rev().skip(1).all(|(seen, arg)| seen == arg));
                assert!(seen.iter().zip(args).all(|(seen, arg)| arg.starts_with(seen)));
            }
            (streamed, expected) => assert_eq!(streamed, expected),
        }
    }
}

/// Encodes `args`, parses the bytes and compares.
fn written_on(args: &[Vec<u8>]) {
    let mut wire = BytesMut::new();
    encode_command(args.iter().map(Vec::as_slice), &mut wire);
    let mut parser = RequestParser::new();
    let parsed = parser.parse(&wire, &RequestLimits::AUTHENTICATED);
    assert_eq!(parsed, Ok(Parsed::Request { len: wire.len() }));
    assert!(parser.request(&wire).args().eq(args.iter().map(Vec::as_slice)));
}

/// Checks that the pieces of a streamed request are one canonical request that begins with `seen`.
fn streamed_on(pieces: &[u8], seen: &[Vec<u8>]) {
    let mut parser = RequestParser::new();
    let limits =
        RequestLimits { stream_at: usize::MAX, crlf: true, ..RequestLimits::AUTHENTICATED };
    assert_eq!(parser.parse(pieces, &limits), Ok(Parsed::Request { len: pieces.len() }));
    let request = parser.request(pieces);
    assert!(request.args().zip(seen).all(|(arg, seen)| arg.starts_with(seen)));
    assert!(seen.len() <= request.declared());
}

fn requests(input: &[u8], limits: &RequestLimits, mut segments: Segments) -> Vec<Found> {
    let mut parser = RequestParser::new();
    let mut found = Vec::new();
    let (mut start, mut end) = (0_usize, 0_usize);
    let mut streamed: Option<Vec<Vec<u8>>> = None;
    let mut pieces = Vec::new();
    while end < input.len() {
        end = segments.next(end, input.len());
        loop {
            let held = input.get(start..end).unwrap_or_default();
            if let Some(seen) = streamed.take() {
                match parser.stream(held, limits) {
                    Ok(passed) => {
                        assert!(passed.len <= held.len());
                        start = start.saturating_add(passed.len);
                        pieces.extend_from_slice(held.get(..passed.len).unwrap_or_default());
                        if let Some((sent, last)) = pieces.last_mut().zip(passed.last) {
                            *sent = last;
                        }
                        if passed.done {
                            streamed_on(&std::mem::take(&mut pieces), &seen);
                            found.push(Found::Request(start, seen));
                            continue;
                        }
                        streamed = Some(seen);
                        if passed.len == 0 {
                            break;
                        }
                    }
                    Err(error) => {
                        found.push(Found::Error(error));
                        return found;
                    }
                }
                continue;
            }
            match parser.parse(held, limits) {
                Ok(Parsed::Incomplete) => break,
                Ok(Parsed::Empty { len }) => {
                    assert!(len > 0 && len <= held.len());
                    start = start.saturating_add(len);
                    found.push(Found::Empty(start));
                }
                Ok(Parsed::Request { len }) => {
                    assert!(len > 0 && len <= held.len());
                    start = start.saturating_add(len);
                    found.push(Found::Request(start, whole_request(&parser.request(held), held)));
                }
                Ok(Parsed::Large) => {
                    assert!(held.len() > limits.stream_at);
                    let request = parser.request(held);
                    assert!(request.len() <= request.declared());
                    assert!(request.is_cut() || request.len() >= 2);
                    streamed = Some(request.args().map(<[u8]>::to_vec).collect());
                }
                Err(error) => {
                    assert_eq!(
                        parser.parse(held, limits),
                        Err(error),
                        "the parser repeats its error"
                    );
                    assert!(error.reply().starts_with(b"-ERR Protocol error: "));
                    found.push(Found::Error(error));
                    return found;
                }
            }
        }
    }
    if streamed.is_some() {
        // The input ended in the middle of a streamed request, which the parser of the whole input did
        // not report.
        assert!(start <= end);
    }
    found
}

fn whole_request(request: &Request<'_>, held: &[u8]) -> Vec<Vec<u8>> {
    assert!(!request.is_cut() && request.len() == request.declared() && request.len() > 0);
    let args: Vec<Vec<u8>> = request.args().map(<[u8]>::to_vec).collect();
    assert_eq!(request.name(), args.first().map(Vec::as_slice).unwrap_or_default());
    let (mut written, mut encoded) = (BytesMut::new(), BytesMut::new());
    request.write_to(&mut written);
    encode_command(request.args(), &mut encoded);
    assert_eq!(written, encoded, "a forwarded request is canonical");
    assert!(written.len() <= held.len() || held.first() != Some(&b'*'));
    args
}

/// A frame: its end, its kind, its head if that is a word, its last integer.
type Frame = (usize, Option<Kind>, String, Option<i64>);

/// Checks replies: any division into segments gives the same frames and the same error as the whole
/// input.
pub fn reply(data: &[u8]) {
    let [_, cuts, input @ ..] = data else { return };
    let whole = frames(input, Segments(0));
    assert_eq!(whole, frames(input, Segments(*cuts)), "segments change frames");
    assert_eq!(whole, frames(input, Segments(1)), "single bytes change frames");
}

fn frames(input: &[u8], mut segments: Segments) -> (Vec<Frame>, Option<ReplyError>) {
    let mut scanner = ReplyScanner::new();
    let mut found = Vec::new();
    let (mut start, mut end) = (0_usize, 0_usize);
    while end < input.len() {
        end = segments.next(end, input.len());
        while start < end {
            let held = input.get(start..end).unwrap_or_default();
            let scan = match scanner.scan(held) {
                Ok(scan) => scan,
                Err(error) => return (found, Some(error)),
            };
            assert!(scan.len > 0 && scan.len <= held.len());
            assert!(scan.done || scan.len == held.len(), "an unfinished frame takes all");
            start = start.saturating_add(scan.len);
            if scan.done {
                assert!(scanner.kind().is_some());
                let head = match scanner.head() {
                    super::Head::Word(word) => word.escape_ascii().to_string(),
                    other => format!("{other:?}"),
                };
                assert_ne!(head, "Pending", "a finished frame has shown its head");
                found.push((start, scanner.kind(), head, scanner.last_integer()));
            }
        }
    }
    (found, None)
}

/// Divides an input into segments: 0 means a single segment, 1 means single bytes, other numbers mean
/// sizes that vary around the number.
struct Segments(u8);

impl Segments {
    fn next(&mut self, from: usize, len: usize) -> usize {
        let size = match self.0 {
            0 => return len,
            1 => 1,
            odd => {
                self.0 = odd.wrapping_mul(73).wrapping_add(41).max(2);
                usize::from(odd % 23).saturating_add(1)
            }
        };
        from.saturating_add(size).min(len)
    }
}
