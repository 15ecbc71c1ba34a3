//! Decodes replies to the requests that Redoubt itself sends, such as logins.
//!
//! The crate redis-protocol decodes them. It recurses into nested values and keeps all of them, so a
//! reply's bytes, depth and number of values are checked before it is decoded. Replies that pass
//! through to clients are not decoded; see [`ReplyScanner`].

use std::fmt;

use bytes::BytesMut;
use memchr::memmem;
use redis_protocol::resp3::types::OwnedFrame as Resp3;
use redis_protocol::{resp2, resp3};

use super::{Protocol, ReplyError, ReplyScanner, integer};

/// A decoded reply. RESP3 types are converted to RESP2: a map becomes an array of alternating keys and
/// values, in any order.
pub type Reply = resp2::types::OwnedFrame;

/// Why replies cannot be decoded; the caller closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a valid reply.
    #[error(transparent)]
    NoReply(#[from] ReplyError),
    /// The replies have more bytes than the decoder accepts.
    #[error("the reply is longer than {0} bytes")]
    TooLong(usize),
    /// A reply has more values, or is nested deeper, than the decoder accepts.
    #[error("the reply has too many values, or is nested too deeply")]
    TooManyValues,
    /// A reply has a type that cannot answer a request, such as a push.
    #[error("the reply is no answer")]
    NoAnswer,
}

/// Decodes replies from the bytes that arrive on a connection. Its `Debug` shows none of the bytes.
pub struct ReplyDecoder {
    scanner: ReplyScanner,
    received: BytesMut,
    /// Bytes of the reply at the front of `received` that have been scanned.
    scanned: usize,
    /// Bytes of the replies that have been returned.
    taken: usize,
    max_bytes: usize,
    /// The error that stopped the decoder; it returns no more replies.
    failed: Option<DecodeError>,
}

impl ReplyDecoder {
    /// Most values in one reply, including values in arrays. A decoded value takes about 70 bytes.
    pub const MAX_VALUES: u32 = 1 << 20;
    /// Deepest nesting of arrays. Redis nests eight in its reply to `COMMAND`.
    pub const MAX_DEPTH: usize = 16;

    /// Creates a decoder that accepts at most `max_bytes` over all replies.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            scanner: ReplyScanner::new(),
            received: BytesMut::new(),
            scanned: 0,
            taken: 0,
            max_bytes,
            failed: None,
        }
    }

    /// Returns the buffer to which the caller appends bytes that have arrived.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// Returns true if all bytes have been consumed.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Returns the next reply, which has the form of `protocol`; `None` until all of it has arrived.
    ///
    /// # Errors
    /// A [`DecodeError`], and the same at every later call; [`ReplyDecoder::buffer`] keeps the
    /// bytes of the reply that caused it.
    pub fn next(&mut self, protocol: Protocol) -> Result<Option<Reply>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.take_reply(protocol);
        self.failed = next.as_ref().err().copied();
        next
    }

    fn take_reply(&mut self, protocol: Protocol) -> Result<Option<Reply>, DecodeError> {
        if self.taken.saturating_add(self.received.len()) > self.max_bytes {
            return Err(DecodeError::TooLong(self.max_bytes));
        }
        let scan = self.scanner.scan(self.received.get(self.scanned..).unwrap_or_default())?;
        self.scanned = self.scanned.saturating_add(scan.len);
        if !scan.done {
            return Ok(None);
        }
        let reply = self.received.get(..self.scanned).unwrap_or_default();
        let reply = decode(reply, protocol)?;
        let _ = self.received.split_to(self.scanned);
        self.taken = self.taken.saturating_add(self.scanned);
        self.scanned = 0;
        Ok(Some(reply))
    }
}

impl fmt::Debug for ReplyDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyDecoder").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Decodes a reply that the scanner has found to be complete.
fn decode(reply: &[u8], protocol: Protocol) -> Result<Reply, DecodeError> {
    check_bounds(reply).ok_or(DecodeError::TooManyValues)?;
    let decoded = match protocol {
        Protocol::Resp2 => resp2::decode::decode(reply).ok().flatten(),
        Protocol::Resp3 => resp3::decode::complete::decode(reply)
            .ok()
            .flatten()
            .and_then(|(reply, len)| Some((as_resp2(reply)?, len))),
    };
    match decoded {
        Some((decoded, len)) if len == reply.len() => Ok(decoded),
        _ => Err(DecodeError::NoAnswer),
    }
}

/// Walks over a complete reply; returns `None` if it has too many values or nests too deep.
fn check_bounds(reply: &[u8]) -> Option<()> {
    let mut rest = reply;
    // For each aggregate that has begun, the values that are still missing.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..ReplyDecoder::MAX_VALUES {
        let (line, after) = rest.split_at_checked(memmem::find(rest, b"\r\n")?)?;
        rest = after.get(2..)?;
        let (lead, text) = line.split_first()?;
        let number = || integer::parse(text);
        let values = match lead {
            b'$' | b'!' | b'=' => {
                // A null has no text behind its length of -1.
                if let Ok(len) = usize::try_from(number()?) {
                    rest = rest.get(len.checked_add(2)?..)?;
                }
                0
            }
            b'*' | b'~' | b'>' => u64::try_from(number()?).unwrap_or(0),
            b'%' => u64::try_from(number()?).ok()?.checked_mul(2)?,
            // Attributes would be values outside the reply. Redis sends none.
            b'|' => return None,
            _ => 0,
        };
        if values > 0 {
            if open.len() == ReplyDecoder::MAX_DEPTH {
                return None;
            }
            open.push(values);
            continue;
        }
        // The value ends, and with it every aggregate whose last value it is.
        while let Some(left) = open.last_mut() {
            *left = left.checked_sub(1)?;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return Some(());
        }
    }
    None
}

/// Converts a RESP3 reply to RESP2; `None` if its type cannot answer a request.
fn as_resp2(reply: Resp3) -> Option<Reply> {
    let all = |values: Vec<Resp3>| values.into_iter().map(as_resp2).collect::<Option<Vec<_>>>();
    Some(match reply {
        Resp3::SimpleString { data, .. } => Reply::SimpleString(data),
        Resp3::SimpleError { data, .. } => Reply::Error(data),
        Resp3::BlobError { data, .. } => Reply::Error(String::from_utf8(data).ok()?),
        Resp3::Number { data, .. } => Reply::Integer(data),
        Resp3::Boolean { data, .. } => Reply::Integer(data.into()),
        Resp3::BlobString { data, .. }
        | Resp3::VerbatimString { data, .. }
        | Resp3::BigNumber { data, .. } => Reply::BulkString(data),
        Resp3::Double { data, .. } => Reply::BulkString(data.to_string().into_bytes()),
        Resp3::Null => Reply::Null,
        Resp3::Array { data, .. } => Reply::Array(all(data)?),
        Resp3::Set { data, .. } => Reply::Array(all(data.into_iter().collect())?),
        Resp3::Map { data, .. } => {
            let pairs = data.into_iter().flat_map(|(key, value)| [key, value]);
            Reply::Array(all(pairs.collect())?)
        }
        Resp3::Push { .. } | Resp3::Hello { .. } | Resp3::ChunkedString(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limit in bytes for tests that do not test the limit.
    const MOST: usize = 16 << 20;

    fn bulk(text: &str) -> Reply {
        Reply::BulkString(text.into())
    }

    fn next(input: &[u8], protocol: Protocol) -> Result<Option<Reply>, DecodeError> {
        let mut decoder = ReplyDecoder::new(MOST);
        decoder.buffer().extend_from_slice(input);
        decoder.next(protocol)
    }

    #[test]
    fn replies_are_decoded_one_by_one_in_any_segments() {
        let input = b"*2\r\n$2\r\na\n\r\n*-1\r\n-ERR no\r\n:7\r\n";
        let mut decoder = ReplyDecoder::new(input.len());
        let mut replies = Vec::new();
        for byte in input {
            decoder.buffer().extend_from_slice(&[*byte]);
            replies.extend(decoder.next(Protocol::Resp2).unwrap());
        }
        let array = Reply::Array(vec![bulk("a\n"), Reply::Null]);
        assert_eq!(replies, [array, Reply::Error("ERR no".into()), Reply::Integer(7)]);
        assert!(decoder.is_empty());
    }

    #[test]
    fn resp3_replies_are_converted_to_resp2() {
        let hello = next(b"%1\r\n$5\r\nproto\r\n:3\r\n", Protocol::Resp3);
        assert_eq!(hello, Ok(Some(Reply::Array(vec![bulk("proto"), Reply::Integer(3)]))));
        let error = next(b"!5\r\nERR a\r\n", Protocol::Resp3);
        assert_eq!(error, Ok(Some(Reply::Error("ERR a".into()))));
        assert_eq!(next(b"_\r\n", Protocol::Resp3), Ok(Some(Reply::Null)));
    }

    #[test]
    fn invalid_replies_are_rejected() {
        assert_eq!(next(b">1\r\n+a\r\n", Protocol::Resp3), Err(DecodeError::NoAnswer));
        assert_eq!(next(b"%1\r\n+a\r\n+b\r\n", Protocol::Resp2), Err(DecodeError::NoAnswer));
        assert_eq!(next(b"-ERR \xff\r\n", Protocol::Resp2), Err(DecodeError::NoAnswer));
        let attributes = next(b"|1\r\n+a\r\n+b\r\n+c\r\n", Protocol::Resp3);
        assert_eq!(attributes, Err(DecodeError::TooManyValues));
        assert!(matches!(next(b"HTTP/1.1", Protocol::Resp2), Err(DecodeError::NoReply(_))));
    }

    #[test]
    fn reply_limits_are_checked_before_decoding() {
        let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
        assert!(next(&nested(ReplyDecoder::MAX_DEPTH), Protocol::Resp2).is_ok());
        for depth in [ReplyDecoder::MAX_DEPTH + 1, 1_000_000] {
            let refused = Err(DecodeError::TooManyValues);
            assert_eq!(next(&nested(depth), Protocol::Resp2), refused);
            assert_eq!(next(&nested(depth), Protocol::Resp3), refused);
        }
        let wide = |values: u32| {
            let head = format!("*{values}\r\n").into_bytes();
            [head, b":1\r\n".repeat(values as usize)].concat()
        };
        assert!(next(&wide(ReplyDecoder::MAX_VALUES - 1), Protocol::Resp2).is_ok());
        let refused = Err(DecodeError::TooManyValues);
        assert_eq!(next(&wide(ReplyDecoder::MAX_VALUES), Protocol::Resp2), refused);
        let long = vec![b'+'; MOST + 1];
        let refused = Err(DecodeError::TooLong(MOST));
        assert_eq!(next(&long, Protocol::Resp2), refused);
    }
}
