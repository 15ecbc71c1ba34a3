//! Protocol errors of clients and servers.

use bytes::Bytes;
use thiserror::Error;

use super::reply;

/// A client broke the protocol. Redis answers with [`ProtocolError::reply`] and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// An inline request has no end within 64 KiB.
    #[error("too big inline request")]
    InlineTooBig,
    /// The quotes of an inline request do not match, or a closing one is not followed by a blank.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The line that gives the argument count has no end within 64 KiB.
    #[error("too big mbulk count string")]
    CountTooBig,
    /// The argument count is not a number or is over the limit.
    #[error("invalid multibulk length")]
    CountInvalid,
    /// The argument count is over what a client may send before it authenticates.
    #[error("unauthenticated multibulk length")]
    CountUnauthenticated,
    /// The line that gives an argument's length has no end within 64 KiB.
    #[error("too big bulk count string")]
    BulkTooBig,
    /// An argument's length is not a number, negative, or over the limit.
    #[error("invalid bulk length")]
    BulkInvalid,
    /// An argument's length is over what a client may send before it authenticates.
    #[error("unauthenticated bulk length")]
    BulkUnauthenticated,
    /// A length or an argument does not end with CRLF, and the server checks that.
    #[error("invalid CRLF in request")]
    LineEnd,
    /// An argument begins with this byte instead of `$`. The message leaves the byte out, because it
    /// may be part of a value.
    #[error("expected '$', got another byte")]
    ExpectedBulk(u8),
}

impl ProtocolError {
    /// The reply that Redis 7.0 gives before it closes the connection.
    pub fn reply(&self) -> Bytes {
        let wire: &'static [u8] = match self {
            Self::InlineTooBig => b"-ERR Protocol error: too big inline request\r\n",
            Self::UnbalancedQuotes => b"-ERR Protocol error: unbalanced quotes in request\r\n",
            Self::CountTooBig => b"-ERR Protocol error: too big mbulk count string\r\n",
            Self::CountInvalid => b"-ERR Protocol error: invalid multibulk length\r\n",
            Self::CountUnauthenticated => {
                b"-ERR Protocol error: unauthenticated multibulk length\r\n"
            }
            Self::BulkTooBig => b"-ERR Protocol error: too big bulk count string\r\n",
            Self::BulkInvalid => b"-ERR Protocol error: invalid bulk length\r\n",
            Self::BulkUnauthenticated => b"-ERR Protocol error: unauthenticated bulk length\r\n",
            Self::LineEnd => b"-ERR Protocol error: invalid CRLF in request\r\n",
            Self::ExpectedBulk(got) => {
                let text = [b"ERR Protocol error: expected '$', got '", &[*got][..], b"'"].concat();
                return reply::error(&text);
            }
        };
        Bytes::from_static(wire)
    }
}

/// Redis, or a server in its place, sent bytes that are not a valid reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A value begins with a byte that names no type.
    #[error("no reply type begins with byte {0:#04x}")]
    Type(u8),
    /// A length or an integer is not a number in Redis's form, or is out of range.
    #[error("a length or an integer in a reply is not valid")]
    Number,
    /// A null or a boolean is not in its only valid form.
    #[error("a null or a boolean in a reply is not valid")]
    Constant,
    /// A line or a string does not end with CRLF.
    #[error("a value in a reply does not end with CRLF")]
    Terminator,
    /// A streamed string or aggregate, which Redis never sends.
    #[error("streamed values are not supported in replies")]
    Streamed,
    /// The values of nested aggregates are more than can be counted.
    #[error("a reply announces too many values")]
    TooMany,
}
