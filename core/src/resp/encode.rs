//! Encodes requests: those of sessions, and those that Redoubt itself sends.

use bytes::{BufMut, BytesMut};
use redis_protocol::resp2::encode::extend_encode_borrowed;
use redis_protocol::resp2::types::BorrowedFrame;

use super::integer;

/// Appends a command in multibulk form to `out`: `args` are its name and its arguments.
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// redoubt_core::resp::encode_command([&b"GET"[..], b"key"], &mut out);
/// assert_eq!(&out[..], b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
/// ```
pub fn encode_command<'a, I>(args: I, out: &mut BytesMut)
where
    I: IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
{
    let args = args.into_iter();
    header(b'*', args.len(), out);
    for arg in args {
        header(b'$', arg.len(), out);
        out.put_slice(arg);
        out.put_slice(b"\r\n");
    }
}

/// Appends a request that Redoubt itself sends. The bytes are those of [`encode_command`];
/// redis-protocol encodes them.
pub fn encode_request(args: &[&[u8]], out: &mut BytesMut) {
    let args: Vec<_> = args.iter().map(|arg| BorrowedFrame::BulkString(arg)).collect();
    let encoded = extend_encode_borrowed(out, &BorrowedFrame::Array(&args), false);
    // Encoding fails only if the buffer is too small, and it grows the buffer itself.
    debug_assert!(encoded.is_ok());
}

/// Appends a line of the type byte `lead` and a length.
pub(super) fn header(lead: u8, len: usize, out: &mut BytesMut) {
    out.put_u8(lead);
    integer::write(len as u64, out);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_request_encoders_give_the_same_bytes() {
        let args = [b"SET".as_slice(), b"a\r\n\x00\xff", b""];
        let (mut request, mut command) = (BytesMut::from("x"), BytesMut::from("x"));
        encode_request(&args, &mut request);
        encode_command(args, &mut command);
        assert_eq!(request, command);
    }
}
