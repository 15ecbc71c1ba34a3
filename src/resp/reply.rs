//! Replies that Redoubt gives itself, with Redis's bytes.

use bytes::{BufMut, Bytes, BytesMut};

/// `+OK`.
pub static OK: Bytes = Bytes::from_static(b"+OK\r\n");

/// What `RESET` is answered with.
pub static RESET: Bytes = Bytes::from_static(b"+RESET\r\n");

/// Any command but `AUTH`, `HELLO`, `QUIT` and `RESET` before a right `AUTH`.
pub static NOAUTH: Bytes = Bytes::from_static(b"-NOAUTH Authentication required.\r\n");

/// A wrong user name or password.
pub static WRONGPASS: Bytes =
    Bytes::from_static(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n");

/// A connection beyond `maxclients`.
pub static MAX_CLIENTS: Bytes = Bytes::from_static(b"-ERR max number of clients reached\r\n");

/// An error reply: `text` begins with its code, such as `ERR`, and has no line end.
///
/// CR and LF in `text` become spaces, as Redis does; other bytes pass as they are, UTF-8 or not,
/// which is why this one is not encoded by redis-protocol.
pub fn error(text: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len().saturating_add(3));
    out.put_u8(b'-');
    out.extend(text.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => *other,
    }));
    out.put_slice(b"\r\n");
    out.freeze()
}
