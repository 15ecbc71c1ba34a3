//! Sessions that have not authenticated, or failed to: what they may hold, and how long they wait.

use std::time::Instant;

use bytes::{Buf, BytesMut};

use crate::auth::Permit;
use crate::resp::RequestParser;
use crate::router::session::Session;
use crate::router::{Router, SessionId};
use crate::session::CloseReason;

impl Router {
    /// A client has connected and been let in with `permit`.
    pub fn open_with(&mut self, permit: Permit, now: Instant) -> SessionId {
        let id = self.open(now);
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.permit = Some(permit);
        }
        id
    }

    /// Lets the sessions go on that have waited long enough.
    pub(in crate::router) fn release_held(&mut self, now: Instant) {
        let due = |session: &Session| session.held_until.is_some_and(|until| now >= until);
        let ids: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| due(session))
            .map(|(key, _)| SessionId(key))
            .collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(id.0) {
                session.held_until = None;
                session.permit.iter_mut().for_each(Permit::answered);
            }
            self.resume(id, now);
            self.touch(id);
        }
    }
}

impl Session {
    /// Most bytes that are taken from a client before it authenticates: one request of the largest
    /// size that Redis lets such a client send, and some. With more it is closed.
    pub(in crate::router) const MAX_UNAUTHENTICATED_BYTES: usize = 256 << 10;
    /// Bytes that a session may hold whatever all others hold, so that those cannot keep it from
    /// logging in: enough for an `AUTH` that comes in pieces.
    const SMALL: usize = 1 << 10;

    /// Returns whether it is neither read nor answered now.
    pub(in crate::router) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Counts all that it holds, if it has not authenticated. If that is more than before, and too
    /// much together with the others', it ends.
    pub(in crate::router) fn recount(&mut self) {
        if self.state.is_authenticated() {
            return;
        }
        let held = [
            self.input.capacity(),
            self.output.capacity(),
            self.parser.memory(),
            self.due.memory(),
            self.state.memory(),
        ];
        let held = held.into_iter().fold(0, usize::saturating_add);
        let fits = self.permit.as_mut().is_none_or(|pass| pass.hold(held as u64));
        if fits || held <= Self::SMALL {
            return;
        }
        self.kill(CloseReason::UnauthenticatedMemory);
        self.forget_all();
        self.permit.as_mut().map(|pass| pass.hold(0));
    }

    /// Frees all buffers of a session that gets no further reply.
    fn forget_all(&mut self) {
        self.output = BytesMut::new();
        self.input = BytesMut::new();
        self.parser = RequestParser::new();
        self.state.forget_name();
    }

    /// Ends it if it has sent more than a client needs to log in.
    pub(in crate::router) fn bound_bytes(&mut self) {
        if !self.state.is_authenticated()
            && self.bytes_in_unauthenticated > Self::MAX_UNAUTHENTICATED_BYTES
        {
            self.end(CloseReason::UnauthenticatedBytes);
        }
    }

    /// Keeps `input`, of which `used` bytes have been dealt with.
    pub(in crate::router) fn keep_input(&mut self, mut input: BytesMut, used: usize) {
        self.input_allocated = self.input_allocated.max(input.capacity());
        input.advance(used.min(input.len()));
        // What has been dealt with would take memory that is not counted. It is copied a few times at
        // most, as a client that has not authenticated soon has all its attempts.
        let is_counted = !self.state.is_authenticated();
        self.input = if is_counted && used > 0 { BytesMut::from(&input[..]) } else { input };
        self.release_buffers();
    }

    /// Gives back the memory of what has been written, of which the buffer's capacity tells nothing.
    pub(in crate::router) fn shrink_output(&mut self) {
        self.output = BytesMut::from(&self.output[..]);
        self.recount();
    }

    /// It is not authenticated any more: what it has needed until now is given back, and is counted
    /// from here on.
    pub(in crate::router) fn begin_anew(&mut self) {
        self.bytes_in_unauthenticated = 0;
        self.release_buffers();
        if !self.output.is_empty() {
            self.output = BytesMut::from(&self.output[..]);
        }
    }
}
