//! Redoubt's own replies, with Redis's bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::resp::Protocol;

use super::encode::header;

/// The reply `+OK`.
pub static OK: Bytes = Bytes::from_static(b"+OK\r\n");

/// The reply to `RESET`.
pub static RESET: Bytes = Bytes::from_static(b"+RESET\r\n");

/// The reply to any command but `AUTH`, `HELLO`, `QUIT` and `RESET` before the client has
/// authenticated.
pub static NOAUTH: Bytes = Bytes::from_static(b"-NOAUTH Authentication required.\r\n");

/// The reply to a wrong user name or password.
pub static WRONGPASS: Bytes =
    Bytes::from_static(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n");

/// The reply to a connection beyond `maxclients`.
pub static MAX_CLIENTS: Bytes = Bytes::from_static(b"-ERR max number of clients reached\r\n");

/// Returns an error reply: `text` begins with its code, such as `ERR`, and has no line end.
///
/// CR and LF in `text` become spaces, as in Redis. Other bytes are copied even if they are not UTF-8;
/// redis-protocol could not encode these.
pub fn error(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len().saturating_add(3));
    out.push(b'-');
    out.extend(text.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => *other,
    }));
    out.extend_from_slice(b"\r\n");
    Bytes::from(out)
}

/// A value in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `$-1` in RESP2, `_` in RESP3.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A bulk string.
    Bulk(&'a [u8]),
    /// An array.
    Array(&'a [Value<'a>]),
    /// A map that keeps this order; in RESP2 an array of alternating keys and values.
    Map(&'a [(Value<'a>, Value<'a>)]),
}

/// Returns a reply with `value`, in the form of `protocol`.
pub fn compose(value: &Value<'_>, protocol: Protocol) -> Bytes {
    let mut out = BytesMut::new();
    append(value, protocol, &mut out);
    out.freeze()
}

/// Returns a reply with a text: a bulk string in RESP2, a verbatim string in RESP3, as Redis sends the texts of
/// `INFO` and `CLIENT LIST`.
pub fn text(text: &[u8], protocol: Protocol) -> Bytes {
    let mut out = BytesMut::new();
    match protocol {
        Protocol::Resp2 => append(&Value::Bulk(text), protocol, &mut out),
        Protocol::Resp3 => {
            header(b'=', text.len().saturating_add(4), &mut out);
            out.put_slice(b"txt:");
            out.put_slice(text);
            out.put_slice(b"\r\n");
        }
    }
    out.freeze()
}

/// Appends a value. Redis-protocol encodes single values; aggregates are encoded here, because its maps
/// do not keep their order.
fn append(value: &Value<'_>, protocol: Protocol, out: &mut BytesMut) {
    match (value, protocol) {
        (Value::Array(values), _) => {
            header(b'*', values.len(), out);
            values.iter().for_each(|value| append(value, protocol, out));
        }
        (Value::Map(pairs), _) => {
            match protocol {
                Protocol::Resp2 => header(b'*', pairs.len().saturating_mul(2), out),
                Protocol::Resp3 => header(b'%', pairs.len(), out),
            }
            for (key, value) in *pairs {
                append(key, protocol, out);
                append(value, protocol, out);
            }
        }
        (single, Protocol::Resp2) => {
            use redis_protocol::resp2::{encode::extend_encode_borrowed, types::BorrowedFrame};
            let frame = match single {
                Value::Integer(integer) => BorrowedFrame::Integer(*integer),
                Value::Bulk(bulk) => BorrowedFrame::BulkString(bulk),
                _ => BorrowedFrame::Null,
            };
            encoded(out, |out| extend_encode_borrowed(out, &frame, false));
        }
        (single, Protocol::Resp3) => {
            use redis_protocol::resp3::encode::complete::extend_encode_borrowed;
            use redis_protocol::resp3::types::BorrowedFrame;
            let frame = match single {
                Value::Integer(data) => BorrowedFrame::Number { data: *data, attributes: None },
                Value::Bulk(data) => BorrowedFrame::BlobString { data, attributes: None },
                _ => BorrowedFrame::Null,
            };
            encoded(out, |out| extend_encode_borrowed(out, &frame, false));
        }
    }
}

/// Appends the bytes that `encode` writes, or an error reply if it fails. Encoding fails only if the
/// buffer is too small, and it grows the buffer itself.
fn encoded<E>(out: &mut BytesMut, encode: impl FnOnce(&mut BytesMut) -> Result<usize, E>) {
    let len = out.len();
    if encode(out).is_err() {
        out.truncate(len);
        out.put_slice(b"-ERR internal error\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_replies_contain_no_line_end_in_their_text() {
        assert_eq!(error(b"ERR a\r\nb\xff"), &b"-ERR a  b\xff\r\n"[..]);
    }

    #[test]
    fn values_are_encoded_for_the_chosen_protocol() {
        let value = Value::Map(&[
            (Value::Bulk(b"proto"), Value::Integer(-3)),
            (Value::Bulk(b"modules"), Value::Array(&[])),
            (Value::Bulk(b""), Value::Null),
        ]);
        assert_eq!(
            compose(&value, Protocol::Resp2),
            &b"*6\r\n$5\r\nproto\r\n:-3\r\n$7\r\nmodules\r\n*0\r\n$0\r\n\r\n$-1\r\n"[..]
        );
        assert_eq!(
            compose(&value, Protocol::Resp3),
            &b"%3\r\n$5\r\nproto\r\n:-3\r\n$7\r\nmodules\r\n*0\r\n$0\r\n\r\n_\r\n"[..]
        );
    }
}
