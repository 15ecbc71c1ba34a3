//! The proof that a lease which its session has returned is as clean as a new link.
//!
//! Replies may be missing or too many, and then the state of the connection, which Redoubt has learned
//! from replies, is wrong as well. So the requests of a proof set the connection to the state that it is
//! to have, as far as the session may have changed it, and a barrier follows them. Only exactly the
//! replies that belong to these requests prove the lease clean.

use bytes::BytesMut;

use crate::resp::encode_command;
use crate::router::SessionId;
use crate::router::key::LinkKey;
use crate::router::replies::fence::{Barrier, Barriers, Fence, begins_with_any};
use crate::session::State;

/// The replies that must come before a lease is proved clean.
pub(in crate::router) struct Proof {
    /// The session that the lease was lent to.
    owner: SessionId,
    /// The state of the connection once it is proved.
    key: LinkKey,
    /// The replies, the barrier's last.
    expected: Vec<u8>,
    /// The position of the barrier's reply in `expected`.
    barrier: usize,
    received: Vec<u8>,
    /// True if the server has said that this user may not run `ECHO`.
    may_not_echo: bool,
}

/// What the bytes of a returned lease prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Proved {
    /// Nothing yet: more bytes must come.
    Pending,
    /// The lease is clean and in the pool.
    Clean,
    /// The server does not take the requests now: the lease is closed.
    Refused,
    /// The replies are not those to the requests: the lease is closed, and this session, which had it, has
    /// to end.
    Mismatch(SessionId),
}

impl Proof {
    /// Number of bytes of replies that are kept: more than any proof has.
    const MAX_RECEIVED: usize = 256;

    /// Adds the requests of the proof to `requests`: those that undo what the session of `state` may have
    /// changed, and a barrier.
    pub(super) fn write(
        owner: SessionId,
        key: LinkKey,
        state: &State,
        barriers: &mut Barriers,
        requests: &mut BytesMut,
    ) -> Self {
        let mut expected = Vec::new();
        let mut set = |words: &[&[u8]]| {
            encode_command(words.iter().copied(), requests);
            expected.extend_from_slice(b"+OK\r\n");
        };
        if state.has_watched() {
            set(&[b"UNWATCH"]);
        }
        if state.has_selected() {
            set(&[b"SELECT", key.database.to_string().as_bytes()]);
        }
        if state.has_named() {
            set(&[b"CLIENT", b"SETNAME", b""]);
        }
        let (form, token) = (barriers.form(key.identity), barriers.next_token());
        let barrier = Barrier::write(owner, form, key.protocol, token, requests);
        let before = expected.len();
        expected.extend_from_slice(barrier.reply());
        let received = Vec::new();
        Self { owner, key, expected, barrier: before, received, may_not_echo: false }
    }

    /// Returns the state of the connection once it is proved.
    pub(super) fn key(&self) -> LinkKey {
        self.key
    }

    /// Returns whether the server has said that this user may not run `ECHO`.
    pub(super) fn may_not_echo(&self) -> bool {
        self.may_not_echo
    }

    /// Takes bytes of the link in. Returns what has been proved by all bytes since the proof was written.
    pub(super) fn receive(&mut self, input: &[u8]) -> Proved {
        let room = Self::MAX_RECEIVED.saturating_sub(self.received.len()).min(input.len());
        self.received.extend_from_slice(input.get(..room).unwrap_or_default());
        if room == input.len() && self.expected == self.received {
            return Proved::Clean;
        }
        if room == input.len() && self.expected.starts_with(&self.received) {
            return Proved::Pending;
        }
        // The session has caused neither a push nor an error that is about the server's own state.
        let began = self.expected.iter().zip(&self.received).take_while(|(a, b)| a == b).count();
        let place = self.received.get(..began).unwrap_or_default();
        let frame =
            place.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
        let other = self.received.get(frame..).unwrap_or_default();
        let excuses = [b"-LOADING ".as_slice(), b"-MASTERDOWN ", b">"];
        let excused = begins_with_any(other, excuses);
        match (Fence::is_refusal(other), excused) {
            (Some(true), _) | (_, Some(true)) => {
                // An error may also answer a request that undoes the session's state.
                self.may_not_echo = frame == self.barrier && Fence::is_refusal_for_good(other);
                Proved::Refused
            }
            (Some(false), Some(false)) => Proved::Mismatch(self.owner),
            _ if room < input.len() => Proved::Mismatch(self.owner),
            _ => Proved::Pending,
        }
    }
}
