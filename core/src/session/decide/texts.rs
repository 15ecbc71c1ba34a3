//! Texts of Redis 7.0's errors that Redoubt sends in its place.

use bytes::Bytes;

use crate::command::Spec;
use crate::resp::reply;
use crate::upstream::Dialect;

/// The error for `HELLO` without a valid `AUTH` option before authentication.
static NOAUTH_HELLO: Bytes = Bytes::from_static(b"-NOAUTH HELLO must be called with the client already \
authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client \
and select the RESP protocol version at the same time\r\n");
/// The same error from Redis 7.2 on.
static NOAUTH_HELLO_7_2: Bytes = Bytes::from_static(b"-NOAUTH HELLO must be called with the client already \
authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client \
and select the RESP protocol version at the same time\r\n");
/// The error for arguments that fit no form of the command.
pub(in crate::session) static SYNTAX_ERROR: Bytes = Bytes::from_static(b"-ERR syntax error\r\n");
/// The error for `HELLO 4`.
pub(in crate::session) static NOPROTO: Bytes =
    Bytes::from_static(b"-NOPROTO unsupported protocol version\r\n");
/// The error for `HELLO x`.
pub(in crate::session) static NOT_A_VERSION: Bytes =
    Bytes::from_static(b"-ERR Protocol version is not an integer or out of range\r\n");
/// The error for `HELLO … SETNAME` with a byte outside `!`..`~`.
pub(in crate::session) static BAD_CLIENT_NAME: Bytes = Bytes::from_static(
    b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
);

/// The error for `CLIENT TRACKING ON REDIRECT` to a connection that does not exist.
pub(in crate::session) static NO_SUCH_CLIENT: Bytes =
    Bytes::from_static(b"-ERR The client ID you want redirect to does not exist\r\n");

/// The reply to `AUTH` as another user where the connection's state belongs to the present one.
pub(super) static HOLDS_STATE: Bytes = Bytes::from_static(
    b"-ERR the user cannot change while the connection is subscribed, blocked, in a transaction or has other state; \
      send RESET first\r\n",
);

/// Returns the error for a command that RESP2 does not allow while the connection is subscribed.
pub(super) fn not_while_subscribed(spec: &Spec) -> Bytes {
    let allowed =
        "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
    reply::error(format!("ERR Can't execute '{}': {allowed}", spec.name).as_bytes())
}

/// The reply to `AUTH` as another user than that of the client's certificate.
pub(super) static CERTIFIED: Bytes = Bytes::from_static(
    b"-NOPERM the client's certificate says who the user is; AUTH as another user is refused\r\n",
);

/// Returns the error for `HELLO` without `AUTH` before authentication.
pub(super) fn noauth_hello(dialect: Dialect) -> Bytes {
    if dialect.hello_is_atomic { NOAUTH_HELLO_7_2.clone() } else { NOAUTH_HELLO.clone() }
}

/// Returns the error for `HELLO` with an unknown option, which Redis shows up to a NUL.
pub(super) fn hello_syntax(option: &[u8]) -> Bytes {
    let shown = option.split(|byte| *byte == 0).next().unwrap_or_default();
    reply::error(&[b"ERR Syntax error in HELLO option '", shown, b"'"].concat())
}

/// Returns the error for an `EXEC` that was rejected with `error`, as Redis's `execCommandAbort` words
/// it.
pub(in crate::session) fn exec_aborted(error: &[u8]) -> Bytes {
    let error = error.strip_prefix(b"-").unwrap_or(error);
    let error = error.strip_prefix(b"ERR ").unwrap_or(error);
    let text = [b"EXECABORT Transaction discarded because of: ", error.trim_ascii_end()].concat();
    reply::error(&text)
}
