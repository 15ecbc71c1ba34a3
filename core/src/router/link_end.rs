//! How links end for the sessions that use them: a link is lost, replaced, given to another session, or
//! closed because Redis does not answer.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::links::{Held, Usage};
use super::{LinkId, Router, SessionId};
use crate::session::{Action, CloseReason, answer_unsent};
use crate::upstream::{LinkCredentials, Phase};

/// The longest time from one tick to the next. After more, this thread itself has not run, and the bytes
/// that have arrived meanwhile are not read yet.
const LONGEST_TICK: Duration = Duration::from_secs(2);

/// A shared link that was closed because Redis owed a reply on it for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    /// The session whose reply was to come next.
    pub first: Option<SessionId>,
    /// How many sessions had replies pending.
    pub sessions: usize,
}

impl Router {
    /// Closes a link. The sessions with replies pending on it, and the session that had it as a lease, end:
    /// what Redis has answered still goes to their clients, and nothing else does.
    pub(super) fn drop_link(&mut self, id: LinkId, reason: CloseReason, now: Instant) {
        let Some(held) = self.links.get_mut(id) else { return };
        let (ended, waiting) = take_users(held);
        self.links.close(id);
        if matches!(reason, CloseReason::UpstreamUnavailable | CloseReason::UpstreamLost) {
            self.doubt_upstream();
        }
        for session_id in ended {
            if let Some(session) = self.sessions.get_mut(session_id)
                && session.link == Some(id)
            {
                session.lose_link(reason, &mut self.counters.commands);
            }
            self.sessions.touch(session_id);
        }
        self.resume_waiting(waiting, now);
    }

    /// Ends the sessions whose clients may believe that the server has their scripts, because it may have
    /// restarted, or is another one. They would get `NOSCRIPT`, and in a transaction lose what the script was to
    /// do. A server that restarts loses all its links, so nothing happens while one is left.
    pub(super) fn end_users_of_scripts(&mut self) {
        for id in self.sessions.select(|session| session.state.uses_scripts()) {
            if let Some(session) = self.sessions.get_mut(id) {
                session.end(CloseReason::ScriptsLost);
            }
            self.sessions.touch(id);
        }
    }

    /// Closes all links that scripts may run on, or wait on: their rights or credentials are out of date.
    /// Links that carry only other commands stay open.
    pub fn drop_links_with_scripts(&mut self, now: Instant) {
        for id in self.links.with_scripts() {
            let reason = self.reason_of_loss(id);
            self.drop_link(id, reason, now);
        }
    }

    /// Closes a link that the server cannot prepare now. `error` is the server's whole reply, with which the
    /// requests that wait for the link are answered, each in its place in the order. No session ends.
    /// The same happens to the links that wait for this one to show whether the server has time.
    ///
    /// A link selects its database when it logs in, and `BUSY` is the reply of most versions to that while a
    /// script overruns.
    pub fn link_not_now(&mut self, id: LinkId, error: &Bytes, now: Instant) {
        let waiting = self.links.not_now(id, now);
        self.answer_unsent_on(id, error, now);
        for link in waiting {
            self.answer_unsent_on(link, error, now);
            self.links.forget(link);
        }
        self.links.trust();
        self.resume_without_link(now);
    }

    fn answer_unsent_on(&mut self, id: LinkId, error: &Bytes, now: Instant) {
        let Some(held) = self.links.get_mut(id) else { return };
        let (mut sessions, waiting) = take_users(held);
        sessions.sort_unstable_by_key(|session| session.key());
        sessions.dedup();
        self.links.close(id);
        for session in sessions {
            self.answer_unsent_of(session, id, error);
            self.after_replies(session, now);
        }
        self.resume_waiting(waiting, now);
    }

    /// Answers the requests of a session that wait for `link`, and takes the link from the session.
    fn answer_unsent_of(&mut self, id: SessionId, link: LinkId, error: &Bytes) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.link != Some(link) {
            return;
        }
        let counts = &mut self.counters.commands;
        if session.state.is_opaque() {
            // It is not known how many requests wait.
            return session.lose_link(CloseReason::UpstreamUnavailable, counts);
        }
        session.link = None;
        if let Some(streaming) = &mut session.streaming {
            // The first part of the large request was lost with the link, so the rest is dropped too.
            let shown = match &streaming.action {
                Action::Forward { expect, .. } | Action::Substitute { expect, .. } => {
                    Some(expect.show.passes())
                }
                _ => None,
            };
            streaming.action = match shown {
                Some(true) => Action::Reply(error.clone()),
                Some(false) => Action::Silence,
                None => mem::replace(&mut streaming.action, Action::Silence),
            };
        }
        answer_unsent(error, &mut session.state, &mut session.pending, &mut session.output, counts);
        if !session.state.holds_lease() {
            session.state.end_lease();
        }
    }

    /// Ends the sessions whose link was closed because another session needed its place.
    pub(super) fn close_displaced(&mut self) {
        if !self.links.has_displaced() {
            return;
        }
        for id in self.links.take_displaced() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.lose_link(CloseReason::LinkLimit, &mut self.counters.commands);
            }
            self.abort(id, CloseReason::LinkLimit);
        }
    }

    /// Replaces all links by new ones, because the server is, or may be, at another address. No session ends but
    /// those that have used scripts; a session keeps its lease until it returns it.
    pub fn replace_links(&mut self, now: Instant) {
        self.end_users_of_scripts();
        let waiting = self.links.replace_all(now);
        self.resume_waiting(waiting, now);
    }

    /// Closes all links that are logged in, because another server is the primary from now on. Sessions end if replies
    /// are pending for them, since nobody knows whether their requests ran, if the server holds a state for them,
    /// or if they have used scripts. All others go on over new links, and links that are not logged in yet keep
    /// their requests.
    pub fn fail_over(&mut self, now: Instant) {
        self.end_users_of_scripts();
        for id in self.links.ready() {
            if !self.take_clean_lease(id, now) {
                self.drop_link(id, CloseReason::UpstreamLost, now);
            }
        }
        self.doubt_upstream();
    }

    /// Closes a link that a session has as a lease without need. Returns false if it is another link.
    fn take_clean_lease(&mut self, id: LinkId, now: Instant) -> bool {
        let Some(Usage::Lease(owner)) = self.links.get(id).map(|held| &held.usage) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(*owner) else { return false };
        if session.link != Some(id) || !session.can_return_lease(now) {
            return false;
        }
        session.link = None;
        session.state.end_lease();
        self.links.close(id);
        true
    }

    /// Logs links in with `credentials`, between commands: those of each identity whose credentials are other ones
    /// than before. No session ends.
    ///
    /// Shared links take no more requests, and new ones are opened in their place; clean leases are
    /// closed; a lease in use is logged in again before its session's next request, as soon as that is
    /// possible, or closed when it is returned.
    pub fn rotate_credentials(&mut self, credentials: LinkCredentials, now: Instant) {
        let identities = self.links.replace_credentials(credentials);
        if identities.is_empty() {
            return;
        }
        let waiting = self.links.rotate(&identities);
        self.sessions.note_stale_logins(&identities);
        self.resume_waiting(waiting, now);
    }

    /// Notes for each shared link since when Redis has owed a reply without sending a byte. Called at each
    /// tick, so that it adds nothing to the work for a request.
    pub(super) fn note_owing(&mut self, now: Instant) {
        let before = self.last_tick.replace(now);
        let is_late = before.is_some_and(|at| now.saturating_duration_since(at) > LONGEST_TICK);
        for id in self.links.shared_ids() {
            let is_owing = !is_late && self.is_owing(id, now);
            self.links.note_owing(id, is_owing, now);
        }
    }

    /// Returns whether replies are pending on a shared link that is read.
    fn is_owing(&self, id: LinkId, now: Instant) -> bool {
        let owes = self.links.get(id).is_some_and(|held| {
            held.link.phase() == Phase::Ready
                && held.shared().is_some_and(|shared| !shared.is_empty())
        });
        owes && self.link_wants_read(id, now)
    }

    /// Closes the shared links on which Redis has owed a reply for `timeout`, and ends the sessions with
    /// replies pending there.
    pub fn close_stalled(&mut self, timeout: Duration, now: Instant) -> Vec<Stalled> {
        let mut closed = Vec::new();
        for id in self.links.owing_for(timeout, now) {
            let Some(shared) = self.links.get(id).and_then(Held::shared) else { continue };
            let is_here = |id: &SessionId| self.sessions.get(*id).is_some();
            let mut owed: Vec<_> = shared.owed_sessions().filter(is_here).collect();
            let first = owed.first().copied();
            owed.sort_unstable_by_key(|id| id.key());
            owed.dedup();
            closed.push(Stalled { first, sessions: owed.len() });
            self.drop_link(id, CloseReason::UpstreamStalled, now);
        }
        closed
    }

    /// Ends the sessions that got more or fewer replies than they asked for.
    #[cold]
    pub(super) fn end_mismatched(&mut self) {
        for id in mem::take(&mut self.mismatched) {
            if let Some(session) = self.sessions.get_mut(id)
                && !session.is_killed()
            {
                session.end_for_mismatch();
                self.sessions.touch(id);
            }
        }
    }
}

/// Returns the sessions that end with a link, and takes those that wait for room on it.
fn take_users(held: &mut Held) -> (Vec<SessionId>, VecDeque<SessionId>) {
    match &mut held.usage {
        Usage::Lease(owner) => (vec![*owner], VecDeque::new()),
        Usage::Shared(shared) => (shared.owed_sessions().collect(), shared.take_waiting()),
        Usage::Returned(_) | Usage::Idle | Usage::Closed => Default::default(),
    }
}
