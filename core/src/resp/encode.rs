//! A command as a client sends it.

use bytes::{BufMut, BytesMut};

use super::integer;

/// Appends a command in multibulk form to `out`: `args` are its name and its arguments.
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// redoubt::resp::encode_command([&b"GET"[..], b"key"], &mut out);
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

/// Appends a line of `lead` and a length.
pub(super) fn header(lead: u8, len: usize, out: &mut BytesMut) {
    out.put_u8(lead);
    integer::write(len as u64, out);
    out.put_slice(b"\r\n");
}
