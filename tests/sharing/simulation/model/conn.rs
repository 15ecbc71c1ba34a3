//! One connection of the model: its state in Redis, and its replies.

use std::collections::{BTreeSet, VecDeque};

use super::super::wire::{Args, bulk};
use super::Key;

/// The mode of `CLIENT REPLY`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    On,
    Off,
    SkipNext,
    Skip,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    pub(crate) authenticated: bool,
    pub(crate) resp3: bool,
    pub(super) db: u8,
    pub(super) name: Vec<u8>,
    /// The transaction, from `MULTI` on.
    pub(crate) queue: Option<Vec<Args>>,
    pub(super) dirty: bool,
    pub(super) watched: Vec<(Key, u64)>,
    pub(crate) channels: BTreeSet<Vec<u8>>,
    pub(crate) patterns: BTreeSet<Vec<u8>>,
    /// The key that a `BLPOP` waits for.
    pub(crate) blocked: Option<Vec<u8>>,
    pub(super) mode: Mode,
    /// True if it has sent its last reply.
    pub(crate) closing: bool,
    /// True if its `AUTH` is answered as by a Redis with too many clients.
    pub(super) refuse_login: bool,
    /// True if a request on it got more or fewer replies than one, or a bad reply.
    pub(super) faulty: bool,
    /// True if it was sent a push that no session on it has asked for.
    pub(crate) pushed: bool,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// Messages that follow the reply to the request.
    pub(super) late: Vec<u8>,
    /// Bytes of output so far, and how many of them have been taken.
    pub(super) produced: u64,
    pub(super) delivered: u64,
    /// The sessions that the output belongs to, each with the offset at which its part ends.
    pub(super) owed: VecDeque<(u32, u64)>,
    /// The session whose command is blocked.
    pub(super) waiting: Option<u32>,
}

impl Conn {
    pub(crate) fn visible(&self) -> bool {
        matches!(self.mode, Mode::On | Mode::SkipNext)
    }

    pub(crate) fn restricted(&self) -> bool {
        !self.resp3 && self.subscriptions() > 0
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Sends an out-of-band message, whatever `CLIENT REPLY` is.
    pub(super) fn notice(&mut self, kind: &str, parts: &[&[u8]], last: &[u8]) {
        let out = self.message(kind, parts, last);
        self.put(&out);
    }

    /// Sends an out-of-band message behind the reply to the present request.
    pub(super) fn notice_late(&mut self, kind: &str, parts: &[&[u8]], last: &[u8]) {
        let out = self.message(kind, parts, last);
        self.late.extend(out);
    }

    pub(super) fn put_late(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.put(&late);
    }

    fn message(&self, kind: &str, parts: &[&[u8]], last: &[u8]) -> Vec<u8> {
        let lead = if self.resp3 { '>' } else { '*' };
        let mut out = format!("{lead}{}\r\n", parts.len() + 2).into_bytes();
        out.extend(bulk(kind.as_bytes()));
        parts.iter().for_each(|part| out.extend(bulk(part)));
        out.extend(last);
        out
    }

    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        if self.visible() {
            self.put(bytes.as_ref());
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.produced += bytes.len() as u64;
        self.output.extend(bytes);
    }

    pub(super) fn null(&self) -> &'static [u8] {
        if self.resp3 { b"_\r\n" } else { b"$-1\r\n" }
    }

    pub(super) fn null_array(&self) -> &'static [u8] {
        if self.resp3 { b"_\r\n" } else { b"*-1\r\n" }
    }

    /// Ends a request, also an empty one.
    pub(super) fn request_done(&mut self) {
        self.mode = match self.mode {
            Mode::SkipNext => Mode::Skip,
            Mode::Skip => Mode::On,
            other => other,
        };
    }

    /// Takes up to `len` bytes of its output.
    pub(crate) fn take_output(&mut self, len: usize) -> Vec<u8> {
        let taken: Vec<u8> = self.output.drain(..len).collect();
        self.delivered += taken.len() as u64;
        while self.owed.front().is_some_and(|(_, end)| *end <= self.delivered) {
            self.owed.pop_front();
        }
        taken
    }

    /// Returns the sessions whose requests Redis has received and whose replies are not complete.
    pub(crate) fn sessions_owed(&self) -> BTreeSet<u32> {
        self.owed.iter().map(|(session, _)| *session).chain(self.waiting).collect()
    }

    /// Returns true if it has nothing left to do or send.
    pub(crate) fn is_silent(&self) -> bool {
        self.input.is_empty() && self.output.is_empty() && self.blocked.is_none()
    }
}
