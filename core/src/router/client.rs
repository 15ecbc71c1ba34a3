//! What clients do: they connect, send requests, read replies and disconnect.

use std::time::Instant;

use super::limits::pause::{Pause, Pauses};
use super::limits::turn::Work;
use super::links::Held;
use super::pipeline::Pipeline;
use super::session::{Listing, Session};
use super::{Router, SessionEvent, SessionId, Sharing};
use crate::auth::{CertificateName, Certified, Permit};
use crate::session::{CloseReason, Described, Flush, Flushed, Given};

impl Router {
    /// Most sessions for which descriptions of clients are held at a time; others wait.
    const MOST_LISTING: usize = 16;

    /// Adds the session of a client that has connected.
    pub fn open(&mut self, now: Instant) -> SessionId {
        let mut session = Session::new(now, self.timeouts.auth, self.sharing == Sharing::Off);
        if self.draining {
            session.end(CloseReason::Shutdown);
        }
        self.sessions.insert(session)
    }

    /// The same for a client to which the connection limiter has given `permit`.
    pub fn open_with(&mut self, permit: Permit, now: Instant) -> SessionId {
        let id = self.open(now);
        if let Some(session) = self.sessions.get_mut(id) {
            session.permit = Some(permit);
        }
        id
    }

    /// Notes the names in the client's certificate, which a handshake has verified. If one identity is recognized by
    /// them, the session has authenticated as that. The caller calls this before it passes bytes of the client.
    pub fn certify(&mut self, id: SessionId, names: &[CertificateName], now: Instant) -> Certified {
        let certified = self.rules.strangers().identities.certified(names);
        if let Certified::As(who) = &certified
            && let Some((mut pipeline, _)) = self.pipeline(id, now)
            && pipeline.session.ending.is_none()
        {
            pipeline.log_in_by_certificate(who.clone());
            self.sessions.touch(id);
        }
        certified
    }

    /// Sets the session's number in the log, from which follows the number that clients are shown.
    pub fn set_number(&mut self, id: SessionId, number: u64) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.state.set_client_id(self.rules.strangers().client_ids.of_session(number));
        }
    }

    /// Takes bytes of the client in.
    pub fn client_bytes(&mut self, id: SessionId, input: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        // The bytes of an ending session are dropped, so they do not keep it open.
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

    /// Notes that the client will send nothing more. Its earlier requests are still answered, but nothing is
    /// popped for a client that has gone.
    pub fn client_eof(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.eof = true;
        // A missing reply would be waited for without an end.
        if let Some(link) = session.link.filter(|_| !session.state.is_leased()) {
            self.links.leave(link, id);
        }
        self.take_requests(id, &[], now);
    }

    /// Notes that the client's connection broke.
    pub fn client_lost(&mut self, id: SessionId) {
        self.abort(id, CloseReason::Client);
    }

    /// Ends the session now, whatever replies are pending.
    pub fn abort(&mut self, id: SessionId, reason: CloseReason) {
        self.sessions.abort(id, reason);
    }

    /// Ends the session after a call about it panicked, which is a defect. A link that may have been left
    /// with a request whose reply is not expected is closed too.
    pub fn client_panicked(&mut self, id: SessionId, now: Instant) {
        if let Some(link) = self.links.take_incomplete() {
            self.drop_link(link, CloseReason::Internal, now);
        }
        self.abort(id, CloseReason::Internal);
    }

    /// Returns whether the client is to be read: not while its requests must wait, nor for a while after a
    /// wrong password.
    ///
    /// The client of a session that is ending is read too, so that it is noticed when it disconnects; its
    /// bytes are dropped.
    pub fn wants_read(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            !session.eof && session.pause.is_none() && !session.is_held() && !session.memory_paused
        })
    }

    /// Returns how many bytes may be read from the client in one turn.
    pub fn read_size(&self, id: SessionId) -> usize {
        Work::read_size(self.sessions.get(id))
    }

    /// Returns whether the client has sent more requests than were taken in one turn, so that the shell calls
    /// [`Router::take_turn`] once other sessions have had their turns.
    pub fn waits_for_turn(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(|session| session.pause == Some(Pause::Turn))
    }

    /// Takes the requests of one more turn.
    pub fn take_turn(&mut self, id: SessionId, now: Instant) {
        if self.waits_for_turn(id) {
            self.take_requests(id, &[], now);
        }
    }

    /// Returns whether a blocking command of the session is pending, so that the session is to end if its
    /// client has gone ([`Router::client_eof`]), also while the client is not to be read.
    pub fn ends_with_client(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(|session| !session.eof && session.pending.blocks())
    }

    /// Returns the next session for which the shell is to collect descriptions of clients, and to hand them
    /// over with [`Router::give_clients`]; `None` also while they are held for too many sessions.
    pub fn next_listing(&mut self) -> Option<(SessionId, Described)> {
        if self.jobs.listings.is_empty() {
            return None;
        }
        let sessions = &self.sessions;
        self.listing.retain(|id| sessions.get(*id).is_some_and(Session::holds_descriptions));
        if self.listing.len() >= Self::MOST_LISTING {
            return None;
        }
        let (id, described) = self.jobs.listings.pop_front()?;
        if let Some(session) = self.sessions.get_mut(id) {
            session.listing = Listing::Begun;
            self.listing.push(id);
        }
        Some((id, described))
    }

    /// Ends the sessions with these numbers, which are in ascending order. Returns how many have been ended.
    pub fn end_clients(&mut self, numbers: &[i64]) -> usize {
        let ended = self.sessions.select(|session| {
            let number = session.state.client_id();
            session.ending.is_none() && numbers.binary_search(&number).is_ok()
        });
        ended.iter().for_each(|id| self.abort(*id, CloseReason::Killed));
        ended.len()
    }

    /// Hands over the descriptions of clients that the session waits for, or how many have been ended for it.
    pub fn give_clients(&mut self, id: SessionId, given: Given, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.listing == Listing::Begun {
            session.listing = Listing::No;
            session.given = Some(given);
            self.resume(id, now);
        }
    }

    /// Returns the next session for which the shell is to delete keys, and to hand over the outcome with
    /// [`Router::give_flushed`].
    pub fn next_flush(&mut self) -> Option<(SessionId, Flush)> {
        self.jobs.flushes.pop_front()
    }

    /// Hands over the outcome of the flush that the session waits for.
    pub fn give_flushed(&mut self, id: SessionId, flushed: Flushed, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.flushing {
            session.flushing = false;
            session.given = Some(Given::Flushed(flushed));
            self.resume(id, now);
        }
    }

    /// Returns whether the session is over: the shell closes its socket and calls [`Router::forget`].
    pub fn is_finished(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_none_or(Session::is_finished)
    }

    /// Returns whether the session is over before its client had all replies, or must not wait for that.
    pub fn is_killed(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_none_or(Session::is_killed)
    }

    /// Returns the bytes that are to be written to the client now.
    pub fn output(&self, id: SessionId) -> &[u8] {
        self.sessions
            .get(id)
            .filter(|session| !session.is_held())
            .map_or(&[], |session| &session.output)
    }

    /// Removes the first `len` bytes of [`Router::output`], which have been written.
    pub fn output_written(&mut self, id: SessionId, len: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let limits = &self.rules.strangers().limits;
        let before = session.output.len();
        session.advance_output(len);
        session.bytes_out = session.bytes_out.saturating_add(len as u64);
        self.counters.traffic.client_out =
            self.counters.traffic.client_out.saturating_add(len as u64);
        session.active = now;
        let after = session.output.len();
        if after == 0 {
            session.output_drained();
        } else if !session.state.is_authenticated() {
            session.shrink_output();
        }
        let falls_below = |mark| before >= mark && after < mark;
        if falls_below(limits.caught_up())
            && let Some(link) = session.link
        {
            if let Some(shared) = self.links.get_mut(link).and_then(Held::shared_mut) {
                shared.end_grace();
            }
            self.links.touch(link);
        }
        let memory_paused = session.memory_paused;
        if falls_below(Session::LINK_PAUSE)
            || falls_below(Session::MUCH)
            || falls_below(limits.client_pause())
            || after == 0
        {
            // The link's driver checks again whether it may read.
            if let Some(link) = session.link.filter(|_| after > 0 || before >= Session::MUCH) {
                self.links.touch(link);
            }
            self.resume(id, now);
        }
        if memory_paused {
            self.end_memory_pause(id, now);
        }
    }

    /// Removes the session, whose socket is closed.
    pub fn forget(&mut self, id: SessionId, now: Instant) {
        let Some(mut session) = self.sessions.remove(id) else { return };
        session.leave_identity();
        session.pending.give_up(&mut self.counters.commands);
        if session.state.knows_id() {
            self.rules.strangers().client_ids.forget(session.state.client_id());
        }
        match session.link {
            Some(link) if session.state.is_leased() => self.links.close(link),
            Some(link) => self.links.leave(link, id),
            None => {}
        }
        self.events.push_back(SessionEvent::of(id, &session.state, session.closed_event(now)));
    }

    /// Takes as many requests as the client has sent, and may be taken now and in one turn. `fresh` are the
    /// bytes that came last.
    fn take_requests(&mut self, id: SessionId, fresh: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.input.is_empty() {
            let used = self.take_from(id, fresh, now);
            if let Some(session) = self.sessions.get_mut(id)
                && session.ending.is_none()
            {
                session.input.extend_from_slice(fresh.get(used..).unwrap_or_default());
            }
        } else {
            let mut input = std::mem::take(&mut session.input);
            input.extend_from_slice(fresh);
            let used = self.take_from(id, &input, now);
            if let Some(session) = self.sessions.get_mut(id)
                && session.ending.is_none()
            {
                session.keep_input(input, used);
            }
        }
        self.after_requests(id, now);
        self.close_displaced();
        self.sessions.touch(id);
    }

    /// Takes requests from `input`. Returns how many bytes have been processed.
    fn take_from(&mut self, id: SessionId, input: &[u8], now: Instant) -> usize {
        match self.pipeline(id, now) {
            Some((mut pipeline, pauses)) => pipeline.take_turn(input, pauses),
            None => input.len(),
        }
    }

    /// Returns a session with what its requests need.
    // Inlined, so that the parts need not be put together in memory for each turn.
    #[inline(always)]
    pub(super) fn pipeline(
        &mut self,
        id: SessionId,
        now: Instant,
    ) -> Option<(Pipeline<'_>, &mut Pauses)> {
        let session = self.sessions.get_mut(id)?;
        let rules = &**self.rules.of(session.state.identity());
        let work = Work::of(session, &rules.limits);
        let pipeline = Pipeline {
            id,
            session,
            links: &mut self.links,
            rulebook: &self.rules,
            rules,
            events: &mut self.events,
            jobs: &mut self.jobs,
            auth_timeout: self.timeouts.auth,
            counters: &mut self.counters,
            recorder: &mut self.recorder,
            databases: &self.databases,
            draining: self.draining,
            now,
            work,
            is_paced: Pipeline::is_paced(rules),
            uncounted: 0,
        };
        Some((pipeline, &mut self.pauses))
    }

    fn after_requests(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.parser.release();
        if !session.state.is_authenticated() {
            session.recount();
            session.check_unauthenticated_bytes();
        }
        if session.eof && session.pending.blocks() {
            // As in Redis, a client that disconnects ends its blocking command, and its later requests are
            // dropped: the command might wait for ever, and keep its lease.
            session.kill(CloseReason::Client);
        } else if session.eof && session.pause.is_none() {
            session.end(CloseReason::Client);
        }
        if session.may_hold_much() {
            self.count_memory(id, now);
        }
    }

    /// Looks again at requests that had to wait; not at those that wait for the session's own turn, because
    /// this is the turn of another session.
    pub(super) fn resume(&mut self, id: SessionId, now: Instant) {
        if let Some(session) = self.sessions.get_mut(id)
            && session.pause.is_some_and(|pause| pause != Pause::Turn)
        {
            self.take_requests(id, &[], now);
        }
    }
}
