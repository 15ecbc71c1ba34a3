//! The state of a link; its socket is elsewhere.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::credentials::Credentials;
use super::login::{Login, LoginError};
use crate::auth::DEFAULT_USER;
use crate::resp::Protocol;

/// The phase of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The socket is being connected.
    Connecting,
    /// The login is under way.
    LoggingIn,
    /// The link sends requests.
    Ready,
    /// The link must be closed; nothing more is read or written.
    Closed,
}

/// Returns what errors about commands that `user` may not run say of the user, from Redis 7.2 on.
pub(crate) fn refusal(user: &str) -> Box<[u8]> {
    format!("User {user} has no permissions").into_bytes().into()
}

/// A link's state and its write buffer. Its `Debug` shows no bytes, because they contain the password
/// and clients' arguments.
pub struct Link {
    phase: Phase,
    protocol: Protocol,
    database: u32,
    login: Option<Login>,
    login_out: Bytes,
    /// See [`Link::refusals`].
    refusals: Vec<Box<[u8]>>,
    requests: BytesMut,
    /// Highest capacity of `requests` so far, in bytes. The space of requests that were written stays
    /// allocated, and the buffer's capacity does not include it.
    allocated: usize,
}

impl Link {
    /// Bytes waiting to be written at which the sessions that use the link are paused.
    pub const HIGH_WATER: usize = 256 << 10;

    /// Capacity that an empty buffer keeps, so that a busy link does not allocate again and again.
    const KEPT_CAPACITY: usize = 512 << 10;

    /// Creates a link that uses `protocol` and selects `database` when it logs in.
    pub fn new(protocol: Protocol, database: u32) -> Self {
        Self {
            phase: Phase::Connecting,
            protocol,
            database,
            login: None,
            login_out: Bytes::new(),
            refusals: Vec::new(),
            requests: BytesMut::new(),
            allocated: 0,
        }
    }

    /// Returns the bytes of memory of its buffers.
    pub fn memory(&self) -> usize {
        self.requests.capacity().max(self.allocated).saturating_add(self.login_out.len())
    }

    /// Frees memory that is not needed now; if `hard` is true, also the capacity that the buffers keep.
    pub fn compact(&mut self, hard: bool) {
        let kept = if hard { 0 } else { Self::KEPT_CAPACITY };
        let has = self.requests.capacity().max(self.allocated);
        if has > kept && has / 2 > self.requests.len() {
            self.requests = BytesMut::from(self.requests.as_ref());
            self.allocated = self.requests.capacity();
        }
    }

    /// Returns true if the link selects a database when it logs in, which a busy server refuses.
    pub fn selects_database(&self) -> bool {
        self.database != 0
    }

    /// Returns the phase of the link.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Starts the login with `credentials` after the socket has connected. After a failed login it
    /// starts again: the waiting requests, none of which has been sent, are kept.
    /// With `primary_only` it fails at a replica.
    pub fn connected(&mut self, credentials: &Credentials, primary_only: bool) {
        if matches!(self.phase, Phase::Connecting | Phase::LoggingIn) {
            self.phase = Phase::LoggingIn;
            self.refusals.clear();
            self.logs_in_as(credentials);
            let (login, out) =
                Login::preparing(credentials, self.protocol, self.database, primary_only);
            (self.login, self.login_out) = (Some(login), out);
        }
    }

    /// Notes that the link is logged in with `credentials`. Errors that come may still name the user before.
    pub fn logs_in_as(&mut self, credentials: &Credentials) {
        let refusal = refusal(credentials.user.as_deref().unwrap_or(DEFAULT_USER));
        if self.refusals.last() != Some(&refusal) {
            let old = self.refusals.len().saturating_sub(1);
            self.refusals.drain(..old);
            self.refusals.push(refusal);
        }
    }

    /// Returns what errors say of the user that the link is logged in as, and of the one before.
    pub fn refusals(&self) -> &[Box<[u8]>] {
        &self.refusals
    }

    /// Closes the link: nothing more is read or written.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.requests = BytesMut::new();
        self.allocated = 0;
        self.login_out.clear();
    }

    /// Reads bytes of the replies to the login.
    ///
    /// # Errors
    /// [`LoginError`]; the caller closes the link.
    pub fn log_in(&mut self, input: &[u8]) -> Result<(), LoginError> {
        if let Some(login) = &mut self.login
            && login.receive(input)?.is_some()
        {
            self.phase = Phase::Ready;
            self.login = None;
        }
        Ok(())
    }

    /// Returns the buffer that requests are appended to. They wait there until the login has succeeded.
    pub fn requests(&mut self) -> &mut BytesMut {
        &mut self.requests
    }

    /// Returns true if requests wait for the login.
    pub fn has_waiting(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::LoggingIn) && !self.requests.is_empty()
    }

    /// Returns true if the link is ready and has nothing to write.
    pub fn is_quiet(&self) -> bool {
        self.phase == Phase::Ready && self.requests.is_empty()
    }

    /// Returns true if more requests should wait.
    pub fn is_full(&self) -> bool {
        self.requests.len() >= Self::HIGH_WATER
    }

    /// Returns the bytes to write now.
    pub fn output(&self) -> &[u8] {
        match self.phase {
            Phase::LoggingIn => &self.login_out,
            Phase::Ready => &self.requests,
            Phase::Connecting | Phase::Closed => &[],
        }
    }

    /// Removes the first `len` bytes of [`Link::output`], which have been written.
    pub fn output_written(&mut self, len: usize) {
        match self.phase {
            Phase::LoggingIn => self.login_out.advance(len.min(self.login_out.len())),
            Phase::Ready => {
                self.allocated = self.allocated.max(self.requests.capacity());
                if len < self.requests.len() {
                    self.requests.advance(len);
                } else if self.allocated > Self::KEPT_CAPACITY {
                    self.requests = BytesMut::new();
                    self.allocated = 0;
                } else {
                    // Unlike advancing, this keeps the space at the front.
                    self.requests.clear();
                }
            }
            Phase::Connecting | Phase::Closed => {}
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("phase", &self.phase).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(Protocol::Resp2, 0)
    }

    fn credentials(password: &str) -> Credentials {
        Credentials { user: Some("app".into()), password: Some(password.into()) }
    }

    #[test]
    fn requests_wait_until_the_link_is_logged_in() {
        let mut link = link();
        link.requests().extend_from_slice(b"request");
        assert_eq!(link.output(), b"");
        link.connected(&credentials("pw"), false);
        let login = b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$2\r\npw\r\n";
        assert_eq!(link.output(), login);
        link.output_written(5);
        assert_eq!(link.output(), &login[5..]);
        link.output_written(usize::MAX);
        assert_eq!(link.output(), b"");
        link.log_in(b"+O").unwrap();
        assert_eq!((link.phase(), link.output()), (Phase::LoggingIn, &b""[..]));
        link.log_in(b"K\r\n").unwrap();
        assert_eq!((link.phase(), link.output()), (Phase::Ready, &b"request"[..]));
        link.output_written(3);
        assert_eq!(link.output(), b"uest");
    }

    #[test]
    fn a_link_can_log_in_again_after_a_rejected_login() {
        let mut link = link();
        link.requests().extend_from_slice(b"request");
        link.connected(&credentials("pw"), false);
        link.output_written(9);
        assert_eq!(link.log_in(b"-WRONGPASS no\r\n"), Err(LoginError::WrongPassword));
        link.connected(&credentials("new"), false);
        assert_eq!(link.output(), b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$3\r\nnew\r\n");
        assert!(link.has_waiting());
        link.log_in(b"+OK\r\n").unwrap();
        assert_eq!(link.output(), b"request");
        assert!(!link.has_waiting());
    }

    #[test]
    fn a_closed_link_writes_nothing_and_stays_closed() {
        let mut link = link();
        link.requests().extend_from_slice(b"request");
        link.close();
        link.connected(&credentials("pw"), false);
        assert_eq!((link.phase(), link.output()), (Phase::Closed, &b""[..]));
        link.output_written(10);
    }

    #[test]
    fn a_link_is_full_at_its_high_water_mark_until_bytes_are_written() {
        let mut link = link();
        link.connected(&credentials("pw"), false);
        link.log_in(b"+OK\r\n").unwrap();
        link.requests().resize(Link::HIGH_WATER - 1, 0);
        assert!(!link.is_full());
        link.requests().extend_from_slice(b"x");
        assert!(link.is_full());
        link.output_written(1);
        assert!(!link.is_full());
    }

    #[test]
    fn debug_output_of_a_link_shows_no_password() {
        let shown = format!("{:?}", link());
        assert_eq!(shown, "Link { phase: Connecting, .. }");
    }
}
