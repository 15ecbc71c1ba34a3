//! Bounds on sessions that have not authenticated: the bytes that they may send and hold.

use bytes::{Buf, BytesMut};

use crate::resp::RequestParser;
use crate::router::session::Session;
use crate::session::CloseReason;

impl Session {
    /// Number of bytes that are taken from a client before it authenticates: one request of the largest
    /// size that Redis accepts from such a client, and some more. A client that sends more is closed.
    pub(in crate::router) const MAX_UNAUTHENTICATED_BYTES: usize = 256 << 10;
    /// Bytes that a session may hold whatever all others hold, so that the others cannot keep it from
    /// logging in: enough for an `AUTH` that comes in pieces.
    const SMALL: usize = 1 << 10;

    /// Returns whether the session is neither read nor answered now, because of a wrong password.
    pub(in crate::router) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Counts all bytes that a session holds which has not authenticated. The session ends if they are more than
    /// before, and too many together with those of the others.
    pub(in crate::router) fn recount(&mut self) {
        if self.state.is_authenticated() {
            return;
        }
        let held = [
            self.input.capacity(),
            self.output.capacity(),
            self.parser.memory(),
            self.pending.memory(),
            self.state.memory(),
        ];
        let held = held.into_iter().fold(0, usize::saturating_add);
        let fits = self.permit.as_mut().is_none_or(|pass| pass.hold(held as u64));
        if fits || held <= Self::SMALL {
            return;
        }
        self.kill(CloseReason::UnauthenticatedMemory);
        self.free_all();
        self.permit.as_mut().map(|pass| pass.hold(0));
    }

    /// Frees all buffers of a session that gets no more replies.
    fn free_all(&mut self) {
        self.output = BytesMut::new();
        self.input = BytesMut::new();
        self.parser = RequestParser::new();
        self.state.forget_name();
    }

    /// Ends the session if it has sent more than a client needs to log in.
    pub(in crate::router) fn check_unauthenticated_bytes(&mut self) {
        if !self.state.is_authenticated()
            && self.bytes_in_unauthenticated > Self::MAX_UNAUTHENTICATED_BYTES
        {
            self.end(CloseReason::UnauthenticatedBytes);
        }
    }

    /// Keeps `input`, of which `used` bytes have been processed.
    pub(in crate::router) fn keep_input(&mut self, mut input: BytesMut, used: usize) {
        self.input_allocated = self.input_allocated.max(input.capacity());
        input.advance(used.min(input.len()));
        // The processed bytes would take memory that is not counted. The rest is copied a few times at
        // most, because a client that has not authenticated has few attempts.
        let is_counted = !self.state.is_authenticated();
        self.input = if is_counted && used > 0 { BytesMut::from(&input[..]) } else { input };
        self.release_buffers();
    }

    /// Frees the memory of bytes that have been written, which the buffer's capacity does not include.
    pub(in crate::router) fn shrink_output(&mut self) {
        self.output = BytesMut::from(&self.output[..]);
        self.recount();
    }

    /// Frees memory of a session that is not authenticated any more, because it is counted from now on.
    pub(in crate::router) fn free_at_reset(&mut self) {
        self.bytes_in_unauthenticated = 0;
        self.release_buffers();
        if !self.output.is_empty() {
            self.output = BytesMut::from(&self.output[..]);
        }
    }
}
