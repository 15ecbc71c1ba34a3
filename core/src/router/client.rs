//! The half of the router that faces clients.

use std::time::Instant;

use super::links::Usage;
use super::session::Session;
use super::{Router, SessionEvent, SessionId, Sharing};
use crate::session::CloseReason;

impl Router {
    /// A client has connected.
    pub fn open(&mut self, now: Instant) -> SessionId {
        let mut session = Session::new(now, self.timeouts.auth, self.sharing == Sharing::Off);
        if self.draining {
            session.end(CloseReason::Shutdown);
        }
        SessionId(self.sessions.insert(session))
    }

    /// Sets the number by which `HELLO` calls the session where it shares a link.
    pub fn set_number(&mut self, id: SessionId, number: u64) {
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.number = number;
        }
    }

    /// Takes bytes of the client in.
    pub fn client_bytes(&mut self, id: SessionId, input: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        // One that is ending is dropped what it sends, so that keeps it no longer.
        if session.ending.is_none() {
            session.active = now;
        }
        session.bytes_in = session.bytes_in.saturating_add(input.len() as u64);
        if !session.state.is_authenticated() {
            session.bytes_in_unauthenticated =
                session.bytes_in_unauthenticated.saturating_add(input.len());
        }
        self.counters.traffic.client_in =
            self.counters.traffic.client_in.saturating_add(input.len() as u64);
        self.take_requests(id, input, now);
    }

    /// The client will send nothing more. What it asked for before is still answered, but nothing
    /// is popped for a client that is gone.
    pub fn client_eof(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        session.eof = true;
        // What is missing would be waited for without an end.
        if let Some(link) = session.link.filter(|_| !session.state.is_leased()) {
            self.links.leave(link, id);
        }
        self.take_requests(id, &[], now);
    }

    /// The client's connection broke.
    pub fn client_lost(&mut self, id: SessionId) {
        self.abort(id, CloseReason::Client);
    }

    /// Ends the session now, whatever is due.
    pub fn abort(&mut self, id: SessionId, reason: CloseReason) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        session.kill(reason);
        self.touch(id);
    }

    /// A call about the session panicked: a defect. It ends, and with it a link that may have been
    /// left with a request whose reply nobody expects.
    pub fn client_panicked(&mut self, id: SessionId, now: Instant) {
        if let Some(link) = self.links.take_incomplete() {
            self.drop_link(link, CloseReason::Internal, now);
        }
        self.abort(id, CloseReason::Internal);
    }

    /// Returns whether the client is to be read: not while its requests must wait, nor for a while after a
    /// wrong password.
    ///
    /// A session that is ending is read too, so that its client's going is noticed; what comes is
    /// dropped.
    pub fn wants_read(&self, id: SessionId) -> bool {
        self.sessions.get(id.0).is_some_and(|session| {
            !session.eof && session.pause.is_none() && !session.is_held() && !session.memory_paused
        })
    }

    /// Returns whether a blocking command of the session is pending, so that the session is to end if its
    /// client has gone ([`Router::client_eof`]), also while the client is not to be read.
    pub fn ends_with_client(&self, id: SessionId) -> bool {
        self.sessions.get(id.0).is_some_and(|session| !session.eof && session.due.blocks())
    }

    /// Returns whether the session is over: close its socket and call [`Router::forget`].
    pub fn is_finished(&self, id: SessionId) -> bool {
        self.sessions.get(id.0).is_none_or(Session::is_finished)
    }

    /// Returns whether it is over before its client had all that was due to it, or must not wait for that.
    pub fn is_killed(&self, id: SessionId) -> bool {
        self.sessions.get(id.0).is_none_or(Session::is_killed)
    }

    /// Returns what is to be written to the client now.
    pub fn output(&self, id: SessionId) -> &[u8] {
        self.sessions
            .get(id.0)
            .filter(|session| !session.is_held())
            .map_or(&[], |session| &session.output)
    }

    /// The first `len` bytes of [`Router::output`] have been written.
    pub fn wrote(&mut self, id: SessionId, len: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        let limits = &self.rules.limits;
        let before = session.output.len();
        session.advance_output(len);
        session.bytes_out = session.bytes_out.saturating_add(len as u64);
        self.counters.traffic.client_out =
            self.counters.traffic.client_out.saturating_add(len as u64);
        session.active = now;
        let after = session.output.len();
        if after == 0 {
            session.drained();
        } else if !session.state.is_authenticated() {
            session.shrink_output();
        }
        let passed = |mark| before >= mark && after < mark;
        if passed(limits.caught_up())
            && let Some(link) = session.link
        {
            if let Some(Usage::Shared(shared)) = self.links.get_mut(link).map(|l| &mut l.usage) {
                shared.end_grace();
            }
            self.links.touch(link);
        }
        let memory_paused = session.memory_paused;
        if passed(Session::LINK_PAUSE)
            || passed(Session::MUCH)
            || passed(limits.client_pause())
            || after == 0
        {
            // The link's driver looks again whether it may read.
            if let Some(link) = session.link.filter(|_| after > 0 || before >= Session::MUCH) {
                self.links.touch(link);
            }
            self.resume(id, now);
        }
        if memory_paused {
            self.end_memory_pause(id, now);
        }
    }

    /// The session's socket is closed.
    pub fn forget(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.remove(id.0) else { return };
        session.due.give_up(&mut self.counters.commands);
        self.rules.client_ids.change(session.state.client_id(), None);
        match session.link {
            Some(link) if session.state.is_leased() => self.links.close(link),
            Some(link) => self.links.leave(link, id),
            None => {}
        }
        self.events.push_back(SessionEvent::of(id, &session.state, session.closed_event(now)));
    }
}
