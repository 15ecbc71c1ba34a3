//! The sessions of a worker, and what concerns sessions alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slotmap::{DefaultKey, SlotMap};

use super::limits::pause::Pause;
use super::report::gauges::{Gauges, add};
use super::session::Session;
use super::{SessionId, Timeouts};
use crate::auth::IdentityId;
use crate::session::{ClientIds, CloseReason, Rulebook, Rules};

/// How long an ending session may leave its last replies unread.
const LINGER: Duration = Duration::from_secs(30);

/// All sessions of a worker.
#[derive(Default)]
pub(super) struct Sessions {
    all: SlotMap<DefaultKey, Session>,
    /// Sessions with something new to write, or finished.
    touched: VecDeque<SessionId>,
}

impl Sessions {
    pub(super) fn insert(&mut self, session: Session) -> SessionId {
        SessionId(self.all.insert(session))
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.all.remove(id.0)
    }

    #[inline]
    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(id.0)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(id.0)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.all.keys().map(SessionId)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Session> {
        self.all.values()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.all.values_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.all.iter_mut().map(|(key, session)| (SessionId(key), session))
    }

    /// Marks a session for the shell, which looks at it again.
    #[inline]
    pub(super) fn touch(&mut self, id: SessionId) {
        if let Some(session) = self.all.get_mut(id.0)
            && !session.touched
        {
            session.touched = true;
            self.touched.push_back(id);
        }
    }

    /// Takes a session that was touched.
    #[inline]
    pub(super) fn next_touched(&mut self) -> Option<SessionId> {
        let id = self.touched.pop_front()?;
        if let Some(session) = self.all.get_mut(id.0) {
            session.touched = false;
        }
        Some(id)
    }

    /// Ends a session now, whatever replies are pending.
    pub(super) fn abort(&mut self, id: SessionId, reason: CloseReason) {
        if let Some(session) = self.all.get_mut(id.0) {
            session.kill(reason);
            self.touch(id);
        }
    }

    /// Returns the sessions for which `is_wanted` returns true.
    pub(super) fn select(&self, is_wanted: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let found = self.all.iter().filter(|(_, session)| is_wanted(session));
        found.map(|(key, _)| SessionId(key)).collect()
    }

    /// Returns the sessions whose time is up, and why.
    pub(super) fn overdue(
        &self,
        timeouts: Timeouts,
        now: Instant,
    ) -> Vec<(SessionId, CloseReason)> {
        let reason = |session| overdue(session, timeouts, now);
        let all = self.all.iter();
        all.filter_map(|(key, session)| Some((SessionId(key), reason(session)?))).collect()
    }

    /// Returns the sessions that had too many commands for a while and may send some now.
    pub(super) fn paced(&self, now: Instant) -> Vec<SessionId> {
        let is_due = |session: &Session| session.pace.as_ref().is_none_or(|pace| pace.is_due(now));
        self.select(|session| session.pause == Some(Pause::Rate) && is_due(session))
    }

    /// Returns the sessions that are to have a lease and wait for no reply, so that they can have one now.
    pub(super) fn named_by_others(&self, ids: &ClientIds) -> Vec<SessionId> {
        self.select(|session| {
            let state = &session.state;
            state.knows_id()
                && !state.is_leased()
                && session.pending.remote() == 0
                && session.streaming.is_none()
                && session.ending.is_none()
                && ids.wants_lease(state.client_id())
        })
    }

    /// Returns the sessions whose delay after a wrong password is over.
    pub(super) fn with_delay_over(&self, now: Instant) -> Vec<SessionId> {
        self.select(|session| session.held_until.is_some_and(|until| now >= until))
    }

    /// Returns the sessions that wait because memory is short.
    pub(super) fn paused_for_memory(&self) -> Vec<SessionId> {
        self.select(|session| session.memory_paused)
    }

    /// Returns the sessions whose credential `rules` do not accept.
    pub(super) fn not_accepted_by(&self, rules: &Rules) -> Vec<SessionId> {
        self.select(|session| {
            session.state.authenticated().is_some_and(|who| !rules.identities.accept(who))
        })
    }

    /// Returns the sessions that have a lease and of which `old` and `new` disagree on whether they may use their
    /// database.
    pub(super) fn in_doubtful_databases(&self, old: &Rulebook, new: &Rulebook) -> Vec<SessionId> {
        self.select(|session| {
            let state = &session.state;
            let may_use =
                |rules: &Rulebook| rules.of(state.identity()).rights.may_use(state.database());
            state.is_leased() && may_use(old) != may_use(new)
        })
    }

    /// Returns the sessions that wait for a link which cannot be opened now, the longest wait first.
    pub(super) fn waiting_for_link(&self) -> Vec<SessionId> {
        let waiting = self
            .all
            .iter()
            .filter_map(|(key, session)| session.wants_link.map(|since| (since, SessionId(key))));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|(since, _)| *since);
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// Returns the sessions that can return the lease which they had as slow readers; with `at_once`, none may
    /// keep it longer than it must.
    pub(super) fn caught_up(&mut self, at_once: bool, now: Instant) -> Vec<SessionId> {
        let slow = self.iter_mut().filter(|(_, session)| session.slow_until.is_some());
        slow.filter_map(|(id, session)| {
            session.slow_until.take_if(|_| at_once);
            session.can_return_lease(now).then_some(id)
        })
        .collect()
    }

    /// Notes that each lease in use of `identities` is logged in with credentials that are no longer in force.
    pub(super) fn note_stale_logins(&mut self, identities: &[IdentityId]) {
        let has_stale = |session: &Session| {
            identities.contains(&session.state.identity())
                && session.state.is_leased()
                && session.link.is_some()
        };
        for session in self.all.values_mut() {
            session.stale_login |= has_stale(session);
        }
    }

    /// Adds what the sessions hold and wait for.
    pub(super) fn add_to(&self, gauges: &mut Gauges) {
        for session in self.all.values() {
            add(&mut gauges.replies_due, session.pending.len());
            add(&mut gauges.client_input, session.input.len());
            add(&mut gauges.client_output, session.output.len());
            if session.memory_paused {
                add(&mut gauges.paused_memory, 1);
                continue;
            }
            match session.pause {
                Some(Pause::InFlight) => add(&mut gauges.paused_in_flight, 1),
                Some(Pause::Rate) => add(&mut gauges.paused_rate, 1),
                Some(Pause::Room) => add(&mut gauges.paused_room, 1),
                Some(Pause::Memory | Pause::Turn) | None => {}
            }
        }
    }
}

/// Returns why the session's time is up, if it is.
fn overdue(session: &Session, timeouts: Timeouts, now: Instant) -> Option<CloseReason> {
    let silent = now.saturating_duration_since(session.active);
    if let Some(reason) = session.ending {
        let unread = session.pending.is_empty() || !session.output.is_empty();
        return (unread && silent >= LINGER).then_some(reason);
    }
    if session.auth_deadline.is_some_and(|deadline| now >= deadline) {
        return Some(CloseReason::AuthTimeout);
    }
    let idle = !timeouts.idle.is_zero()
        && silent >= timeouts.idle
        && session.pending.is_empty()
        && session.pause != Some(Pause::Rate)
        && !session.flushing
        && !session.state.listens();
    idle.then_some(CloseReason::Idle)
}
