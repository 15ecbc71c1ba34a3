//! A session with its buffers.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::LinkId;
use crate::resp::RequestParser;
use crate::session::{CloseReason, DueQueue, Event, State, Step};

/// What an exchange keeps of one session.
pub(super) struct Session {
    pub(super) state: State,
    pub(super) parser: RequestParser,
    /// Bytes of the client that are not a whole request yet, or that wait.
    pub(super) input: BytesMut,
    /// Bytes for the client.
    pub(super) output: BytesMut,
    pub(super) due: DueQueue,
    pub(super) link: Option<LinkId>,
    /// What was decided for the large request that is passing through.
    pub(super) streaming: Option<Step>,
    /// Whether `input` holds requests that must wait.
    pub(super) stalled: bool,
    /// Whether the client will send nothing more.
    pub(super) eof: bool,
    /// Set when no more requests are taken: the session ends once all that is due has gone out.
    pub(super) ending: Option<CloseReason>,
    /// Whether it is over, whatever is still due.
    pub(super) dead: bool,
    /// Whether it is in the exchange's list of touched sessions.
    pub(super) touched: bool,
    /// When it must have authenticated.
    pub(super) auth_deadline: Option<Instant>,
    /// When bytes last went either way.
    pub(super) active: Instant,
    pub(super) opened: Instant,
    pub(super) commands: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Session {
    /// Bytes waiting for the client at which its link is no longer read.
    pub(super) const LINK_PAUSE: usize = 256 << 10;
    /// Bytes waiting for the client at which its requests are no longer taken. Only local replies
    /// can pass [`Session::LINK_PAUSE`] so far.
    pub(super) const CLIENT_PAUSE: usize = 1 << 20;
    /// Capacity that an empty buffer may keep.
    const IDLE_CAPACITY: usize = 4 << 10;

    pub(super) fn new(now: Instant, auth_timeout: Duration) -> Self {
        Self {
            state: State::default(),
            parser: RequestParser::new(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            due: DueQueue::default(),
            link: None,
            streaming: None,
            stalled: false,
            eof: false,
            ending: None,
            dead: false,
            touched: false,
            auth_deadline: now.checked_add(auth_timeout),
            active: now,
            opened: now,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Puts a reply that Redoubt made in its place in the order.
    pub(super) fn reply(&mut self, bytes: Bytes) {
        if self.due.is_empty() && !self.state.is_inside_notice() {
            self.output.extend_from_slice(&bytes);
        } else {
            self.due.push_local(bytes);
        }
    }

    /// Takes no more requests; the first reason stands.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.ending.get_or_insert(reason);
        self.state.end();
        self.input = BytesMut::new();
        self.stalled = false;
    }

    /// Ends it now, whatever is due.
    pub(super) fn kill(&mut self, reason: CloseReason) {
        self.end(reason);
        self.dead = true;
    }

    /// Whether its socket can be closed.
    pub(super) fn is_finished(&self) -> bool {
        self.dead || (self.ending.is_some() && self.due.is_empty() && self.output.is_empty())
    }

    /// Gives memory back when a buffer has run empty.
    pub(super) fn release_buffers(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > Self::IDLE_CAPACITY {
                *buffer = BytesMut::new();
            }
        }
    }

    pub(super) fn closed_event(&self, now: Instant) -> Event {
        Event::Closed {
            reason: self.ending.unwrap_or(CloseReason::Client),
            lasted: now.saturating_duration_since(self.opened),
            commands: self.commands,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}
