//! The proof that a lease which its session has given back is as clean as a new link.
//!
//! Replies may be missing or too many, and then what they told of the connection's state is wrong as
//! well. So the connection is set to the state that it is to have, as far as the session may have
//! changed it, and a barrier closes that. Only exactly the replies that belong to these requests prove
//! the lease clean.

use bytes::BytesMut;

use super::{Links, Usage};
use crate::resp::encode_command;
use crate::router::key::LinkKey;
use crate::router::replies::fence::{Barrier, Fence, Form, Token, begins_with_any};
use crate::router::{LinkId, SessionId};
use crate::session::State;

/// What is still to come before a lease is proved clean.
pub(in crate::router) struct Proof {
    /// The session that it was lent to.
    owner: SessionId,
    key: LinkKey,
    expected: Vec<u8>,
    received: Vec<u8>,
    /// Whether the server has said that this user may not run `ECHO`.
    may_not_echo: bool,
}

/// What the bytes of a returned lease prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Proved {
    /// Nothing yet.
    Pending,
    /// It is in the pool.
    Clean,
    /// The server does not take the requests now: the lease is closed.
    Refused,
    /// Other replies came than were asked for: the lease is closed, and this session, which had it,
    /// has to end.
    Mismatch(SessionId),
}

impl Proof {
    /// Most bytes of an answer that are kept: more than any proof has.
    const MOST: usize = 256;

    /// Adds the requests to `requests`: those that undo what the session of `state` may have changed,
    /// and a barrier with `token`.
    pub(super) fn write(
        owner: SessionId,
        key: LinkKey,
        state: &State,
        token: Token,
        echoes: bool,
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
        let form = if echoes { Form::Echo } else { Form::Hello };
        let barrier = Barrier::write(owner, form, key.protocol, token, requests);
        expected.extend_from_slice(barrier.reply());
        Self { owner, key, expected, received: Vec::new(), may_not_echo: false }
    }

    fn receive(&mut self, input: &[u8]) -> Proved {
        let room = Self::MOST.saturating_sub(self.received.len()).min(input.len());
        self.received.extend_from_slice(input.get(..room).unwrap_or_default());
        if room == input.len() && self.expected == self.received {
            return Proved::Clean;
        }
        if room == input.len() && self.expected.starts_with(&self.received) {
            return Proved::Pending;
        }
        // An error of the server's own is no fault of the session, and neither is a push.
        let began = self.expected.iter().zip(&self.received).take_while(|(a, b)| a == b).count();
        let place = self.received.get(..began).unwrap_or_default();
        let frame =
            place.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
        let other = self.received.get(frame..).unwrap_or_default();
        let excuses = [b"-LOADING ".as_slice(), b"-MASTERDOWN ", b">"];
        let excused = begins_with_any(other, excuses);
        match (Fence::is_refusal(other), excused) {
            (Some(true), _) | (_, Some(true)) => {
                self.may_not_echo = Fence::is_refusal_for_good(other);
                Proved::Refused
            }
            (Some(false), Some(false)) => Proved::Mismatch(self.owner),
            _ if room < input.len() => Proved::Mismatch(self.owner),
            _ => Proved::Pending,
        }
    }
}

impl Links {
    /// Takes bytes of a returned lease in. It is in the pool afterwards, or closed, or still unproved.
    pub(in crate::router) fn prove(&mut self, id: LinkId, input: &[u8]) -> Proved {
        let Some(held) = self.all.get_mut(id.0) else { return Proved::Pending };
        let Usage::Returned(proof) = &mut held.usage else { return Proved::Pending };
        let proved = proof.receive(input);
        match proved {
            Proved::Pending => {}
            Proved::Clean => {
                held.key = proof.key;
                held.usage = Usage::Idle;
                self.returned = self.returned.saturating_sub(1);
                self.pool.push(id);
            }
            Proved::Refused => {
                // Another request carries the token from here on.
                self.echoes &= !proof.may_not_echo;
                self.close(id);
            }
            Proved::Mismatch(_) => self.close(id),
        }
        proved
    }
}
