//! The half of the router that faces upstream.

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use super::links::{Held, Proved, Usage};
use super::replies::demultiplexer::{Demultiplexer, Owner};
use super::session::Session;
use super::{LinkId, LinkKey, Router, SessionId};
use crate::session::{CloseReason, Unexpected};
use crate::upstream::{LoginError, Phase};

/// Why a link was given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// It was not let in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It brought what nothing expects.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

impl Router {
    /// A link that the shell is to connect.
    pub fn next_link_to_open(&mut self) -> Option<LinkId> {
        self.links.next_to_open()
    }

    /// Returns what a link is for, which the shell needs to know to open it; `None` once it is forgotten.
    pub fn link_key(&self, id: LinkId) -> Option<LinkKey> {
        self.links.get(id).map(|held| held.key)
    }

    /// A link that has something new to write, or is closed.
    pub fn next_touched_link(&mut self) -> Option<LinkId> {
        self.links.next_touched()
    }

    /// Returns how many links there are.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The link's socket is connected: it logs in with the credentials that are in force now. To be
    /// called again, with a new socket, for a link whose login was refused; its requests are kept.
    pub fn link_connected(&mut self, id: LinkId) {
        self.links.connected(id);
    }

    /// Gives up all links that scripts may run on, or wait on, as what they were let do, or which
    /// credentials they hold, is of yesterday. Those that only carry other commands stay.
    pub fn drop_links_with_scripts(&mut self, now: Instant) {
        for id in self.links.with_scripts() {
            self.link_lost(id, now);
        }
    }

    /// The link has no more use: close its socket and call [`Router::forget_link`].
    pub fn link_is_closed(&self, id: LinkId) -> bool {
        self.links.get(id).is_none_or(|held| held.link.phase() == Phase::Closed)
    }

    /// Returns whether the link is logged in.
    pub fn link_is_ready(&self, id: LinkId) -> bool {
        self.links.get(id).is_some_and(|held| held.link.phase() == Phase::Ready)
    }

    /// Returns whether the sending side of the link's socket is to be closed: its session waits for nothing that
    /// it could still ask for. The link is read until Redis closes its side too.
    pub fn link_finishes(&self, id: LinkId) -> bool {
        self.links.finishes(id)
    }

    /// Returns whether the link was opened before `then`.
    pub fn link_is_older(&self, id: LinkId, then: Option<Instant>) -> bool {
        let held = self.links.get(id);
        held.is_some_and(|held| then.is_some_and(|then| held.opened < then))
    }

    /// Returns whether Redis has told a client since the last call that it is a replica. Not all such replies
    /// are looked at: where there is one, there are more.
    pub fn take_read_only(&mut self) -> bool {
        mem::take(&mut self.read_only)
    }

    /// Returns whether the link is to be read. A lease is not while its session's client is slow to read;
    /// nor is a shared link that has been retired for such a client, unless others' replies are
    /// behind.
    pub fn link_wants_read(&self, id: LinkId, now: Instant) -> bool {
        let waiting = |id: SessionId| self.sessions.get(id.0).map(|session| session.output.len());
        match self.links.get(id).map(|held| &held.usage) {
            Some(Usage::Lease(owner)) => {
                let most = if self.memory.is_under_pressure() {
                    Session::MUCH
                } else {
                    Session::LINK_PAUSE
                };
                waiting(*owner).is_some_and(|len| len < most)
            }
            Some(Usage::Shared(shared)) if shared.is_retired() => match shared.front() {
                Some((id, others)) => {
                    let limits = &self.rules.limits;
                    waiting(id).is_none_or(|unread| shared.wants_read(unread, others, limits, now))
                }
                None => true,
            },
            Some(_) => true,
            None => false,
        }
    }

    /// Returns what is to be written to the link now.
    pub fn link_output(&self, id: LinkId) -> &[u8] {
        self.links.get(id).map_or(&[], |held| held.link.output())
    }

    /// The first `len` bytes of [`Router::link_output`] have been written.
    pub fn link_wrote(&mut self, id: LinkId, len: usize, now: Instant) {
        let was_full = self.links.is_full(id);
        let Some(held) = self.links.get_mut(id) else { return };
        held.link.wrote(len);
        self.counters.traffic.upstream_out =
            self.counters.traffic.upstream_out.saturating_add(len as u64);
        if held.link.output().is_empty() {
            self.counters.written(id, now);
        }
        if was_full {
            self.make_room(id, now);
        }
    }

    /// Takes bytes of the link in.
    ///
    /// # Errors
    /// [`LinkFault`]: the link is closed, and the sessions that replies were due to on it end. But a
    /// link whose user or password is wrong is left for [`Router::link_connected`] to have it log
    /// in anew, or [`Router::link_failed`] to give it up. A link that Redis has no time for is closed
    /// without an error, and its sessions are answered (see [`Router::link_not_now`]).
    pub fn link_bytes(&mut self, id: LinkId, input: &[u8], now: Instant) -> Result<(), LinkFault> {
        let was_full = self.links.is_full(id);
        let Some(Held { link, usage, reader, used, .. }) = self.links.get_mut(id) else {
            return Ok(());
        };
        *used = now;
        self.read_only |= input.first() == Some(&b'-') && input.starts_with(b"-READONLY ");
        self.counters.traffic.upstream_in =
            self.counters.traffic.upstream_in.saturating_add(input.len() as u64);
        let mut reached = mem::take(&mut self.reached);
        let mut demultiplexer = Demultiplexer {
            link: id,
            reader,
            sessions: &mut self.sessions,
            rules: &self.rules,
            counts: &mut self.counters.commands,
            reached: &mut reached,
            mismatched: &mut self.mismatched,
        };
        let mut wants_barrier = false;
        let outcome = match (link.phase(), usage) {
            (Phase::LoggingIn, _) => link.log_in(input).map_err(LinkFault::from),
            (Phase::Ready, Usage::Lease(owner)) => {
                demultiplexer.receive(input, &mut Owner(*owner)).map_err(LinkFault::from)
            }
            (Phase::Ready, Usage::Shared(shared)) => {
                let received = shared.receive(input, &mut demultiplexer).map_err(LinkFault::from);
                wants_barrier = shared.wants_barrier();
                received
            }
            (Phase::Ready, Usage::Returned(_)) => {
                if let Proved::Mismatch(owner) = self.links.prove(id, input) {
                    self.mismatched.push(owner);
                }
                Ok(())
            }
            (Phase::Ready, Usage::Idle) => Err(Unexpected::Reply.into()),
            (Phase::Connecting | Phase::Closed, _) | (_, Usage::Closed) => Ok(()),
        };
        let outcome = outcome.or_else(|fault| self.link_at_fault(id, fault, now));
        if !self.mismatched.is_empty() {
            self.end_mismatched();
        }
        if wants_barrier {
            self.links.send_barrier(id);
        }
        self.retire_if_slow(id, now);
        for session in reached.drain() {
            self.replied(session, now);
        }
        self.reached = reached;
        if was_full {
            self.make_room(id, now);
        }
        outcome
    }

    /// Returns what becomes of a link that brought something wrong.
    #[cold]
    fn link_at_fault(
        &mut self,
        id: LinkId,
        fault: LinkFault,
        now: Instant,
    ) -> Result<(), LinkFault> {
        match &fault {
            LinkFault::Login(LoginError::NotNow(error)) => {
                self.link_not_now(id, error, now);
                return Ok(());
            }
            LinkFault::Login(LoginError::WrongPassword) => {}
            LinkFault::Login(_) => self.drop_link(id, CloseReason::UpstreamUnavailable, now),
            LinkFault::Unexpected(_) => self.drop_link(id, CloseReason::UpstreamLost, now),
        }
        Err(fault)
    }

    /// Ends the sessions that got more or fewer replies than they asked for.
    #[cold]
    fn end_mismatched(&mut self) {
        for id in mem::take(&mut self.mismatched) {
            if let Some(session) = self.sessions.get_mut(id.0)
                && !session.is_killed()
            {
                session.mismatch();
                self.touch(id);
            }
        }
    }

    /// The link could not be connected.
    pub fn link_failed(&mut self, id: LinkId, now: Instant) {
        self.drop_link(id, CloseReason::UpstreamUnavailable, now);
    }

    /// A call about the link panicked: a defect. It is closed, with what was due on it.
    pub fn link_panicked(&mut self, id: LinkId, now: Instant) {
        self.drop_link(id, CloseReason::Internal, now);
    }

    /// The link's connection ended or broke.
    pub fn link_lost(&mut self, id: LinkId, now: Instant) {
        let ready = self.link_is_ready(id);
        let reason =
            if ready { CloseReason::UpstreamLost } else { CloseReason::UpstreamUnavailable };
        self.drop_link(id, reason, now);
    }

    /// The link's socket is closed.
    pub fn forget_link(&mut self, id: LinkId) {
        self.links.forget(id);
    }

    /// Replies have come for a session: its lease may be over, and requests that waited may go on.
    pub(super) fn replied(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        self.counters.answered(id, session.due.answered(), now);
        let much = session.output.len() >= Session::MUCH;
        let memory_paused = session.memory_paused;
        if session.due.remote() == 0 {
            session.state.settle();
            self.databases = self.databases.max(session.state.database().saturating_add(1));
        }
        let waits = session.waits;
        if memory_paused {
            self.end_memory_pause(id, now);
        }
        // One that waits for room is not to take what the others before it wait for.
        if !waits {
            self.resume(id, now);
        }
        self.give_back(id, now);
        if much {
            self.count_memory(id, now);
        }
        self.touch(id);
    }

    /// Gives a session's own link back if it needs it no more.
    pub(super) fn give_back(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        if session.can_give_back(now)
            && let Some(link) = session.link.take()
        {
            if mem::take(&mut session.stale_login) || self.links.is_outdated(link, now) {
                self.links.close(link);
            } else {
                self.links.give_back(link, &session.state, now);
            }
            session.state.end_lease();
        }
    }

    /// A shared link on which much is coming for a client that does not read as fast takes no more
    /// sessions, and this one has links of its own for a while.
    fn retire_if_slow(&mut self, id: LinkId, now: Instant) {
        let Some(Held { usage: Usage::Shared(shared), .. }) = self.links.get_mut(id) else {
            return;
        };
        if let Some((front, _)) = shared.front()
            && let Some(session) = self.sessions.get_mut(front.0)
            && session.is_heavy(&self.rules.limits)
        {
            session.weigh(now);
            if session.output.len() >= self.rules.limits.output_pause() {
                shared.begin_grace(now);
            }
            // Without room for one more link it stays in use, and is read however slow the client
            // is: others do not wait, and past its limit the slow one is closed.
            if !shared.is_retired() && self.links.has_room_for_slow() {
                self.links.retire_for_slow_reader(id);
            }
        } else if shared.is_retired() && shared.is_empty() {
            self.links.close(id);
        }
    }

    /// Lets the sessions go on that waited for room on a link, in that order, as long as there is
    /// some. One that needs more than there was waits again, behind the others.
    fn make_room(&mut self, id: LinkId, now: Instant) {
        if self.links.is_full(id) {
            return;
        }
        let mut waiting = match self.links.get_mut(id).map(|held| &mut held.usage) {
            Some(Usage::Shared(shared)) => shared.take_waiting(),
            Some(Usage::Lease(owner)) => [*owner].into(),
            _ => return,
        };
        while !self.links.is_full(id)
            && let Some(next) = waiting.pop_front()
        {
            self.go_on([next].into(), now);
        }
        match self.links.get_mut(id).map(|held| &mut held.usage) {
            Some(Usage::Shared(shared)) => shared.wait_first(waiting),
            _ => self.go_on(waiting, now),
        }
    }

    /// Looks again at the requests of sessions that waited for room on a link.
    pub(super) fn go_on(&mut self, waiting: VecDeque<SessionId>, now: Instant) {
        for id in waiting {
            if let Some(session) = self.sessions.get_mut(id.0) {
                session.waits = false;
            }
            self.resume(id, now);
        }
    }

    /// Closes a link. The sessions that replies were due to on it, and the one that had it for its
    /// own, end: what Redis has answered still goes out, and nothing else is due.
    pub(super) fn drop_link(&mut self, id: LinkId, reason: CloseReason, now: Instant) {
        let Some(held) = self.links.get_mut(id) else { return };
        let (ended, waiting): (Vec<_>, _) = match &mut held.usage {
            Usage::Lease(owner) => (vec![*owner], Default::default()),
            Usage::Shared(shared) => (shared.owed_sessions().collect(), shared.take_waiting()),
            Usage::Returned(_) | Usage::Idle | Usage::Closed => Default::default(),
        };
        self.links.close(id);
        for session_id in ended {
            if let Some(session) = self.sessions.get_mut(session_id.0)
                && session.link == Some(id)
            {
                session.lose_link(reason, &mut self.counters.commands);
            }
            self.touch(session_id);
        }
        self.go_on(waiting, now);
    }
}
