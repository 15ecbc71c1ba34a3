//! What links do: they connect, bring replies, take requests and break.

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use super::links::{Held, Proved, Usage};
use super::replies::demultiplexer::{Demultiplexer, Owner};
use super::replies::renaming::Renaming;
use super::session::Session;
use super::{LinkId, LinkKey, Router, SessionId};
use crate::session::{CloseReason, Unexpected};
use crate::upstream::{LoginError, Phase};

/// Why a link was closed, or could not log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The server did not accept its login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It brought bytes that nothing expects.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

impl Router {
    /// Notes that the server may be unreachable. Until a link is logged in, the right password is not answered:
    /// a client that got `+OK` would lose the requests that it has kept. The session ends if that takes long.
    pub fn doubt_upstream(&mut self) {
        self.links.doubt();
    }

    /// Takes a link that the shell is to connect.
    pub fn next_link_to_open(&mut self) -> Option<LinkId> {
        self.links.next_to_open()
    }

    /// Returns the key of a link, which the shell needs to connect it; `None` once it is removed.
    pub fn link_key(&self, id: LinkId) -> Option<LinkKey> {
        self.links.get(id).map(|held| held.key)
    }

    /// Takes a link that has something new to write, or is closed.
    pub fn next_touched_link(&mut self) -> Option<LinkId> {
        self.links.next_touched()
    }

    /// Returns how many links there are.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// Logs a link in, whose socket is connected, with the credentials in force. The shell calls this again,
    /// with a new socket, for a link whose login was refused; the link's requests are kept. If there are no
    /// credentials for the link's identity, the link is closed and its sessions end.
    pub fn link_connected(&mut self, id: LinkId, now: Instant) {
        if !self.links.connected(id) {
            self.drop_link(id, CloseReason::UpstreamUnavailable, now);
        }
    }

    /// Returns whether the link is closed: the shell closes its socket and calls [`Router::forget_link`].
    pub fn link_is_closed(&self, id: LinkId) -> bool {
        self.links.get(id).is_none_or(|held| held.link.phase() == Phase::Closed)
    }

    /// Returns whether the link is logged in.
    pub fn link_is_ready(&self, id: LinkId) -> bool {
        self.links.get(id).is_some_and(|held| held.link.phase() == Phase::Ready)
    }

    /// Returns whether the sending side of the link's socket is to be closed, because its session sends no more
    /// requests. The link is read until Redis closes its side too.
    pub fn link_finishes(&self, id: LinkId) -> bool {
        self.links.finishes(id)
    }

    /// Returns whether the link was opened before `then`.
    pub fn link_is_older(&self, id: LinkId, then: Option<Instant>) -> bool {
        let held = self.links.get(id);
        held.is_some_and(|held| then.is_some_and(|then| held.opened < then))
    }

    /// Lets no link log in at a replica from now on: its login fails then.
    pub fn go_to_primaries_only(&mut self) {
        self.links.go_to_primaries_only();
    }

    /// Returns how many sessions wait for a link that is not logged in yet.
    pub fn waiting_for(&self, id: LinkId) -> usize {
        self.links.get(id).map_or(0, |held| match &held.usage {
            Usage::Lease(_) => 1,
            Usage::Shared(shared) => shared.owed_sessions().count(),
            Usage::Returned(_) | Usage::Idle | Usage::Closed => 0,
        })
    }

    /// Returns whether a reply since the last call said that the server is a replica. Not all replies are
    /// checked: where there is one such reply, there are more.
    pub fn take_read_only(&mut self) -> bool {
        mem::take(&mut self.read_only)
    }

    /// Returns whether the link is to be read. A lease is not read while its session's client reads slowly;
    /// nor is a shared link that has been retired for such a client, unless replies of other sessions
    /// follow.
    pub fn link_wants_read(&self, id: LinkId, now: Instant) -> bool {
        let waiting = |id: SessionId| self.sessions.get(id).map(|session| session.output.len());
        let Some(held) = self.links.get(id) else { return false };
        if held.link.phase() == Phase::LoggingIn {
            // The replies to a login are for Redoubt itself, and the login has a time limit.
            return true;
        }
        match &held.usage {
            Usage::Lease(owner) => {
                let most = if self.memory.is_under_pressure() {
                    Session::MUCH
                } else {
                    Session::LINK_PAUSE
                };
                waiting(*owner).is_some_and(|len| len < most)
            }
            Usage::Shared(shared) if shared.is_retired() => match shared.front() {
                Some((id, others)) => {
                    let limits = &self.rules.strangers().limits;
                    waiting(id).is_none_or(|unread| shared.wants_read(unread, others, limits, now))
                }
                None => true,
            },
            _ => true,
        }
    }

    /// Returns the bytes that are to be written to the link now.
    pub fn link_output(&self, id: LinkId) -> &[u8] {
        self.links.get(id).map_or(&[], |held| held.link.output())
    }

    /// Removes the first `len` bytes of [`Router::link_output`], which have been written.
    pub fn link_output_written(&mut self, id: LinkId, len: usize, now: Instant) {
        let was_full = self.links.is_full(id);
        let Some(held) = self.links.get_mut(id) else { return };
        held.link.output_written(len);
        self.counters.traffic.upstream_out =
            self.counters.traffic.upstream_out.saturating_add(len as u64);
        if held.link.output().is_empty() {
            self.counters.written(id, now);
        }
        if was_full {
            self.resume_for_room(id, now);
        }
    }

    /// Takes bytes of the link in.
    ///
    /// # Errors
    /// [`LinkFault`]: the link is closed, and the sessions with replies pending on it end. But a link whose
    /// user or password is wrong stays, until [`Router::link_connected`] logs it in again or
    /// [`Router::link_failed`] closes it. A link that Redis has no time for is closed without an error,
    /// and its sessions are answered (see [`Router::link_not_now`]).
    pub fn link_bytes(&mut self, id: LinkId, input: &[u8], now: Instant) -> Result<(), LinkFault> {
        let was_full = self.links.is_full(id);
        let Some(Held { key, link, usage, reader, used, .. }) = self.links.get_mut(id) else {
            return Ok(());
        };
        *used = now;
        self.read_only |= input.first() == Some(&b'-')
            && (input.starts_with(b"-READONLY ") || input.starts_with(b"-MASTERDOWN "));
        self.counters.traffic.upstream_in =
            self.counters.traffic.upstream_in.saturating_add(input.len() as u64);
        let mut reached = mem::take(&mut self.reached);
        let rules = self.rules.strangers();
        let mut demultiplexer = Demultiplexer {
            link: id,
            reader,
            sessions: &mut self.sessions,
            rules,
            renaming: Renaming {
                refusals: link.refusals(),
                identities: &rules.identities,
                identity: key.identity,
            },
            counts: &mut self.counters.commands,
            reached: &mut reached,
            mismatched: &mut self.mismatched,
        };
        let was_logging_in = link.phase() == Phase::LoggingIn;
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
        let logged_in = was_logging_in && self.link_is_ready(id);
        let outcome = outcome.or_else(|fault| self.link_at_fault(id, fault, now));
        if logged_in {
            self.resume_without_link(now);
        }
        if !self.mismatched.is_empty() {
            self.end_mismatched();
        }
        if wants_barrier {
            self.links.send_barrier(id);
        }
        self.retire_if_slow(id, now);
        for session in reached.drain() {
            self.after_replies(session, now);
        }
        self.reached = reached;
        if was_full {
            self.resume_for_room(id, now);
        }
        outcome
    }

    /// Closes a link after a fault, unless it may log in again. Returns the fault, unless its sessions were
    /// answered.
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

    /// Closes a link that could not be connected.
    pub fn link_failed(&mut self, id: LinkId, now: Instant) {
        self.drop_link(id, CloseReason::UpstreamUnavailable, now);
    }

    /// Closes a link after a call about it panicked, which is a defect. The sessions with replies pending on it
    /// end.
    pub fn link_panicked(&mut self, id: LinkId, now: Instant) {
        self.drop_link(id, CloseReason::Internal, now);
    }

    /// Closes a link whose connection ended or broke.
    pub fn link_lost(&mut self, id: LinkId, now: Instant) {
        let reason = self.reason_of_loss(id);
        self.drop_link(id, reason, now);
        if reason == CloseReason::UpstreamLost && !self.links.has_ready() {
            self.end_users_of_scripts();
        }
    }

    /// Returns why sessions end that wait for replies on a link which ends.
    pub(super) fn reason_of_loss(&self, id: LinkId) -> CloseReason {
        if self.link_is_ready(id) {
            CloseReason::UpstreamLost
        } else {
            CloseReason::UpstreamUnavailable
        }
    }

    /// Removes a link, whose socket is closed.
    pub fn forget_link(&mut self, id: LinkId) {
        self.links.forget(id);
    }

    /// Continues a session after replies have come: it may return its lease, and waiting requests are resumed.
    pub(super) fn after_replies(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        self.counters.answered(id, session.pending.answered(), now);
        let much = session.output.len() >= Session::MUCH;
        let memory_paused = session.memory_paused;
        if session.pending.remote() == 0 {
            session.state.trust_replies();
            if let Some(database) = session.state.take_confirmed_database() {
                self.databases.insert(session.state.identity(), database);
            }
        }
        let waits_for_room = session.waits_for_room;
        if memory_paused {
            self.end_memory_pause(id, now);
        }
        // A session that waits for room must not take the room that earlier sessions wait for.
        if !waits_for_room {
            self.resume(id, now);
        }
        self.return_lease(id, now);
        if much {
            self.count_memory(id, now);
        }
        self.sessions.touch(id);
    }

    /// Returns a session's lease if the session needs it no more.
    pub(super) fn return_lease(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if !session.can_return_lease(now) {
            return;
        }
        let state = &mut session.state;
        if state.knows_id() && !self.rules.strangers().client_ids.may_return(state.client_id()) {
            state.keep_lease();
            return;
        }
        if let Some(link) = session.link.take() {
            // Without the right to its database, a session has a lease in another one.
            let may_use =
                self.rules.of(session.state.identity()).rights.may_use(session.state.database());
            let is_stale = mem::take(&mut session.stale_login) || !may_use;
            if is_stale || self.links.is_outdated(link, now) {
                self.links.close(link);
            } else {
                self.links.give_back(link, &session.state, now);
            }
            session.state.end_lease();
        }
    }

    /// Retires a shared link if much is coming for a client that does not read as fast. The client's session
    /// has leases for a while.
    fn retire_if_slow(&mut self, id: LinkId, now: Instant) {
        let Some(Held { usage: Usage::Shared(shared), .. }) = self.links.get_mut(id) else {
            return;
        };
        if let Some((front, _)) = shared.front()
            && let Some(session) = self.sessions.get_mut(front)
            && session.has_much_unread(&self.rules.strangers().limits)
        {
            session.note_slow_reader(now);
            if session.output.len() >= self.rules.strangers().limits.output_pause() {
                shared.begin_grace(now);
            }
            // Without room for one more link this one stays in use, and is read however slow the client
            // is: other sessions do not wait, and the slow one is closed at its output limit.
            if !shared.is_retired() && self.links.has_room_for_slow() {
                self.links.retire_for_slow_reader(id);
            }
        } else if shared.is_retired() && shared.is_empty() {
            self.links.close(id);
        }
    }

    /// Resumes the sessions that waited for room on a link, in that order, as long as there is room. A session
    /// that needs more room than there was waits again, behind the others.
    fn resume_for_room(&mut self, id: LinkId, now: Instant) {
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
            self.resume_waiting([next].into(), now);
        }
        match self.links.get_mut(id).map(|held| &mut held.usage) {
            Some(Usage::Shared(shared)) => shared.wait_in_front(waiting),
            _ => self.resume_waiting(waiting, now),
        }
    }

    /// Looks again at the requests of sessions that waited for room on a link.
    pub(super) fn resume_waiting(&mut self, waiting: VecDeque<SessionId>, now: Instant) {
        for id in waiting {
            if let Some(session) = self.sessions.get_mut(id) {
                session.waits_for_room = false;
            }
            self.resume(id, now);
        }
    }
}
