//! A server that is up and has no time to prepare a link, as while a script overruns.
//!
//! A link selects its database when it logs in, and `BUSY` is the answer to that in most versions.
//! None of the requests that wait for such a link has been sent, so each is answered with the same
//! error, in its place in the order, and no session ends.

use std::mem;
use std::time::Instant;

use bytes::Bytes;

use super::links::Usage;
use super::{LinkId, Router, SessionId};
use crate::session::{Action, CloseReason, answer_unsent};

impl Router {
    /// The server cannot prepare the link now, and has said so with `error`, a whole reply. The
    /// requests that wait for it are answered with that, and it is closed. So are the links that wait
    /// for this one to show whether the server has time (see `Links::not_now`).
    pub fn link_not_now(&mut self, id: LinkId, error: &Bytes, now: Instant) {
        let waiting = self.links.not_now(id, now);
        self.answer_unsent_on(id, error, now);
        for link in waiting {
            self.answer_unsent_on(link, error, now);
            self.links.forget(link);
        }
    }

    fn answer_unsent_on(&mut self, id: LinkId, error: &Bytes, now: Instant) {
        let Some(held) = self.links.get_mut(id) else { return };
        let (mut sessions, waiting): (Vec<_>, _) = match &mut held.usage {
            Usage::Lease(owner) => (vec![*owner], Default::default()),
            Usage::Shared(shared) => (shared.owed_sessions().collect(), shared.take_waiting()),
            Usage::Returned(_) | Usage::Idle | Usage::Closed => Default::default(),
        };
        sessions.sort_unstable_by_key(|session| session.key());
        sessions.dedup();
        self.links.close(id);
        for session in sessions {
            self.answer_unsent_of(session, id, error);
            self.replied(session, now);
        }
        self.go_on(waiting, now);
    }

    /// Answers what `session` waits for on `link`, which it leaves.
    fn answer_unsent_of(&mut self, id: SessionId, link: LinkId, error: &Bytes) {
        let Some(session) = self.sessions.get_mut(id.key()) else { return };
        if session.link != Some(link) {
            return;
        }
        if session.state.is_opaque() {
            // How many requests wait is not known.
            return session
                .lose_link(CloseReason::UpstreamUnavailable, &mut self.counters.commands);
        }
        session.link = None;
        if let Some(streaming) = &mut session.streaming {
            // What has come of it went with the link, and so goes the rest.
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
        let counts = &mut self.counters.commands;
        answer_unsent(error, &mut session.state, &mut session.due, &mut session.output, counts);
        if !session.state.holds_lease() {
            session.state.end_lease();
        }
    }
}
