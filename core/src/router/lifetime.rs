//! What time does to sessions, and the graceful stop.

use std::time::{Duration, Instant};

use super::limits::pause::Pause;
use super::session::Session;
use super::{Router, SessionId, Timeouts};
use crate::session::CloseReason;

/// How long an ending session may leave its last replies unread.
const LINGER: Duration = Duration::from_secs(30);

impl Router {
    /// Ends the sessions whose time is up. To be called a few times a second.
    pub fn tick(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        let due: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(key, session)| Some((SessionId(key), overdue(session, timeouts, now)?)))
            .collect();
        for (id, reason) in due {
            self.abort(id, reason);
        }
        self.resume_paced(now);
        self.release_held(now);
        self.give_back_light(now);
        self.links.tick(now);
        let waiting = self.links.replace_old(now);
        self.go_on(waiting, now);
        self.resume_without_link(now);
        self.note_owing(now);
        self.tick_memory(now);
        let (sessions, links) = (&self.sessions, &self.links);
        self.counters.lost(|session, link| {
            links.get(link).is_none()
                || sessions.get(session.0).is_none_or(|s| s.link != Some(link))
        });
    }

    /// Lets those go on that had too many commands for a while, as far as they may now.
    fn resume_paced(&mut self, now: Instant) {
        let paced: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.pause == Some(Pause::Rate))
            .map(|(key, _)| SessionId(key))
            .collect();
        for id in paced {
            self.resume(id, now);
        }
    }

    /// Takes leases back from sessions that had one for being heavy and have long been light; at once
    /// where others may soon have too few links.
    fn give_back_light(&mut self, now: Instant) {
        let is_near = self.links.is_near_bound();
        let light: Vec<_> = self
            .sessions
            .iter_mut()
            .filter(|(_, session)| session.heavy_until.is_some())
            .filter_map(|(key, session)| {
                session.heavy_until.take_if(|_| is_near);
                session.can_give_back(now).then_some(key)
            })
            .map(SessionId)
            .collect();
        for id in light {
            self.give_back(id, now);
        }
    }

    /// Stops taking requests. Sessions end when all that is due to them has gone out.
    pub fn drain(&mut self) {
        self.draining = true;
        let ids: Vec<_> = self.sessions.keys().map(SessionId).collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(id.0) {
                session.held_until = None;
                if session.streaming.is_none() {
                    session.end(CloseReason::Shutdown);
                }
            }
            self.touch(id);
        }
    }

    /// Ends the sessions that only wait for something to happen, once they take no more requests: all
    /// that is due to them are replies of commands that block. To be called again while it drains, as
    /// others come to wait.
    ///
    /// Nothing more is said on their links ([`Router::link_finishes`]), so Redis closes these, and pops
    /// nothing for them any more. What it has sent before arrives first, and still goes out. What it has
    /// popped in the very turn in which it notices the end is lost, as for every client that goes while it
    /// waits.
    pub fn leave_waiting(&mut self) {
        if !self.draining {
            return;
        }
        for session in self.sessions.values() {
            if session.ending.is_some()
                && session.due.only_blocks()
                && session.state.is_leased()
                && let Some(link) = session.link
            {
                self.links.finish(link);
            }
        }
    }

    /// Ends all sessions now.
    pub fn abort_all(&mut self, reason: CloseReason) {
        let ids: Vec<_> = self.sessions.keys().map(SessionId).collect();
        for id in ids {
            self.abort(id, reason);
        }
    }
}

/// Returns why the session's time is up, if it is.
fn overdue(session: &Session, timeouts: Timeouts, now: Instant) -> Option<CloseReason> {
    let silent = now.saturating_duration_since(session.active);
    if let Some(reason) = session.ending {
        let unread = session.due.is_empty() || !session.output.is_empty();
        return (unread && silent >= LINGER).then_some(reason);
    }
    if session.auth_deadline.is_some_and(|deadline| now >= deadline) {
        return Some(CloseReason::AuthTimeout);
    }
    let idle = !timeouts.idle.is_zero()
        && silent >= timeouts.idle
        && session.due.is_empty()
        && session.pause != Some(Pause::Rate)
        && !session.state.listens();
    idle.then_some(CloseReason::Idle)
}
