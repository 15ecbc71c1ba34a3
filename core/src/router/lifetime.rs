//! What happens to sessions at ticks and when rules change, and the graceful stop.

use std::sync::Arc;
use std::time::Instant;

use super::Router;
use crate::auth::Permit;
use crate::session::{CloseReason, Rulebook};

impl Router {
    /// Ends the sessions whose time is up, and resumes those that need wait no longer. The shell calls this a
    /// few times a second.
    pub fn tick(&mut self, now: Instant) {
        for (id, reason) in self.sessions.overdue(self.timeouts, now) {
            self.abort(id, reason);
        }
        for id in self.sessions.paced(now) {
            self.resume(id, now);
        }
        for session in self.sessions.values_mut() {
            session.report_commands();
            if let Some(pace) = &mut session.pace {
                pace.expire(now);
            }
        }
        self.end_delays(now);
        self.return_leases_of_slow_readers(now);
        let scripts_used = self.sessions.values().any(|session| session.state.uses_scripts());
        self.links.tick(scripts_used, now);
        let waiting = self.links.replace_old(now);
        self.resume_waiting(waiting, now);
        self.lend_to_named(now);
        self.resume_without_link(now);
        self.send_moving(now);
        self.note_owing(now);
        self.tick_memory(now);
        let (sessions, links) = (&self.sessions, &self.links);
        self.counters.lost(|session, link| {
            links.get(link).is_none() || sessions.get(session).is_none_or(|s| s.link != Some(link))
        });
    }

    /// Resumes the sessions whose delay after a wrong password is over.
    fn end_delays(&mut self, now: Instant) {
        for id in self.sessions.with_delay_over(now) {
            if let Some(session) = self.sessions.get_mut(id) {
                session.held_until = None;
                session.permit.iter_mut().for_each(Permit::answered);
            }
            self.resume(id, now);
            self.sessions.touch(id);
        }
    }

    /// Takes leases back from slow readers that have long caught up; at once where there may soon be too few
    /// links for others.
    fn return_leases_of_slow_readers(&mut self, now: Instant) {
        for id in self.sessions.caught_up(self.links.is_near_bound(), now) {
            self.return_lease(id, now);
        }
    }

    /// Looks again at the requests that wait for a link, the longest wait first.
    pub(super) fn resume_without_link(&mut self, now: Instant) {
        for id in self.sessions.waiting_for_link() {
            self.resume(id, now);
            if let Some(session) = self.sessions.get_mut(id)
                && session.pause.is_none()
            {
                session.wants_link = None;
            }
        }
    }

    /// Lends leases to the sessions that others have named as the target of their invalidations.
    fn lend_to_named(&mut self, now: Instant) {
        let client_ids = &self.rules.strangers().client_ids;
        if !client_ids.any_wanted() {
            return;
        }
        for id in self.sessions.named_by_others(client_ids) {
            if let Some((mut pipeline, _)) = self.pipeline(id, now) {
                pipeline.take_own_lease();
            }
            self.sessions.touch(id);
        }
    }

    /// Puts new rules in force for all requests from now on.
    ///
    /// Sessions whose credential the rules do not accept end at once, whatever replies are pending, as Redis
    /// ends the connections of a user that is deleted. So do those that have a lease and that had the right to
    /// their database and have it no more, or the other way round: the lease is in that database, or in another.
    pub fn replace_rules(&mut self, rules: Arc<Rulebook>) {
        for id in self.sessions.in_doubtful_databases(&self.rules, &rules) {
            self.abort(id, CloseReason::CredentialWithdrawn);
        }
        self.rules = rules;
        self.recorder.sample_again();
        // What sessions wait for may be due earlier now.
        self.sessions.values_mut().for_each(|session| session.pace = None);
        // The rules come anew when the upstream or its users are others.
        self.databases.clear();
        for id in self.sessions.not_accepted_by(self.rules.strangers()) {
            self.abort(id, CloseReason::CredentialWithdrawn);
        }
    }

    /// Stops taking requests. Each session ends when its client has all pending replies.
    pub fn drain(&mut self) {
        self.draining = true;
        for id in self.sessions.ids().collect::<Vec<_>>() {
            if let Some(session) = self.sessions.get_mut(id) {
                session.held_until = None;
                if session.streaming.is_none() {
                    session.end(CloseReason::Shutdown);
                }
            }
            self.sessions.touch(id);
        }
    }

    /// Ends the sessions that take no more requests and whose pending replies all belong to commands that
    /// block. The shell calls this again while it drains, because other sessions come to wait.
    ///
    /// Nothing more is sent over their links ([`Router::link_finishes`]), so Redis closes these, and pops
    /// nothing for them any more. What Redis has sent before arrives first, and still goes to the client.
    /// What it has popped in the very turn in which it notices the end is lost, as for every client that
    /// disconnects while it waits.
    pub fn leave_waiting(&mut self) {
        if !self.draining {
            return;
        }
        for session in self.sessions.values() {
            if session.ending.is_some()
                && session.pending.only_blocks()
                && session.state.is_leased()
                && let Some(link) = session.link
            {
                self.links.finish(link);
            }
        }
    }

    /// Ends all sessions now.
    pub fn abort_all(&mut self, reason: CloseReason) {
        for id in self.sessions.ids().collect::<Vec<_>>() {
            self.abort(id, reason);
        }
    }
}
