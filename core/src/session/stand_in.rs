//! Stand-ins: requests that Redoubt sends in the place of a client's, so that Redis itself keeps the
//! state.
//!
//! Inside MULTI, Redis must get one request for each request of the client. A refused command is
//! replaced by a command that cannot exist, which marks the transaction as failed; an `AUTH` is
//! replaced by one with the link's own credentials or with wrong ones, depending on the client's claim.

use bytes::{Bytes, BytesMut};
use secrecy::ExposeSecret;

use crate::resp::encode_command;
use crate::upstream::Credentials;

/// The prepared stand-ins. They hold the upstream password, so there is no `Debug`.
#[derive(Clone)]
pub struct StandIn {
    user: Bytes,
    password: Bytes,
    no_such_command: Bytes,
}

/// A user and password that Redis refuses: no ACL user can have a name with a space in it.
const WRONG: [&[u8]; 2] = [b"no such user", b"x"];

impl StandIn {
    /// Creates stand-ins for links that log in as `user` with `password`. `nonce` makes the name of the
    /// command that cannot exist unguessable, so that no module can register it.
    pub fn new(user: Option<&str>, password: Option<&[u8]>, nonce: u64) -> Self {
        let user = user.unwrap_or(crate::auth::DEFAULT_USER);
        let name = format!("redoubt-refused-{nonce:016x}");
        Self {
            user: Bytes::copy_from_slice(user.as_bytes()),
            password: Bytes::copy_from_slice(password.unwrap_or(b"")),
            no_such_command: encode(&[name.as_bytes()]),
        }
    }

    /// Returns the same stand-ins for links that log in with `credentials`.
    pub fn logging_in_as(&self, credentials: &Credentials) -> Self {
        let user = credentials.user.as_deref().unwrap_or(crate::auth::DEFAULT_USER);
        let password = credentials.password.as_ref().map_or("", |p| p.expose_secret());
        Self {
            user: Bytes::copy_from_slice(user.as_bytes()),
            password: Bytes::copy_from_slice(password.as_bytes()),
            no_such_command: self.no_such_command.clone(),
        }
    }

    /// Returns the same stand-ins for the time in which it is unknown how links log in. A right `AUTH`
    /// fails too, since Redis might accept the present credentials for another user by the time that
    /// they arrive.
    pub fn rejecting_logins(&self) -> Self {
        let [user, password] = WRONG.map(Bytes::from_static);
        Self { user, password, no_such_command: self.no_such_command.clone() }
    }

    /// Returns a command that Redis answers with an error and that fails a transaction.
    pub fn no_such_command(&self) -> Bytes {
        self.no_such_command.clone()
    }

    /// Returns an `AUTH` that succeeds if `right` is true and fails otherwise, as the client's would.
    pub fn auth(&self, right: bool) -> Bytes {
        let [user, password] = self.pair(right);
        encode(&[b"AUTH", user, password])
    }

    /// Returns the user and password that replace those of a client's `HELLO … AUTH`.
    pub fn pair(&self, right: bool) -> [&[u8]; 2] {
        if right { [&self.user, &self.password] } else { WRONG }
    }
}

/// Encodes `args` as a request.
pub(super) fn encode(args: &[&[u8]]) -> Bytes {
    let mut frame = BytesMut::new();
    encode_command(args.iter().copied(), &mut frame);
    frame.freeze()
}
