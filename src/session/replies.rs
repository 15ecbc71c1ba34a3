//! Redis 7.0's own words for the replies that Redoubt gives in its place.

use bytes::Bytes;

/// Success.
pub(super) const OK: &[u8] = b"+OK\r\n";
/// `RESET`.
pub(super) const RESET: &[u8] = b"+RESET\r\n";
/// Anything but `AUTH`, `HELLO`, `QUIT`, `RESET` before authentication.
pub(super) const NOAUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";
/// `HELLO` without a right `AUTH` option before authentication.
pub(super) const NOAUTH_HELLO: &[u8] = b"-NOAUTH HELLO must be called with the client already \
authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client \
and select the RESP protocol version at the same time\r\n";
/// A wrong user or password.
pub(super) const WRONGPASS: &[u8] =
    b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
/// Arguments that fit no form of the command.
pub(super) const SYNTAX_ERROR: &[u8] = b"-ERR syntax error\r\n";
/// `HELLO 4`.
pub(super) const NOPROTO: &[u8] = b"-NOPROTO unsupported protocol version\r\n";
/// `HELLO x`.
pub(super) const NOT_A_VERSION: &[u8] =
    b"-ERR Protocol version is not an integer or out of range\r\n";
/// `HELLO … SETNAME` with a byte outside `!`..`~`.
pub(super) const BAD_CLIENT_NAME: &[u8] =
    b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n";
/// What Redis says of commands with the `no_multi` flag.
pub(super) const NOT_IN_TRANSACTION: &[u8] = b"-ERR Command not allowed inside a transaction\r\n";

/// `HELLO` with an unknown option: like Redis, up to a NUL, line ends as spaces.
pub(super) fn hello_syntax(option: &[u8]) -> Bytes {
    let mut text = b"-ERR Syntax error in HELLO option '".to_vec();
    text.extend(option.iter().take_while(|byte| **byte != 0).map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => *other,
    }));
    text.extend_from_slice(b"'\r\n");
    text.into()
}
