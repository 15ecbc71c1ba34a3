//! Carries decisions out: it changes the session's state and its pending replies, writes requests to links,
//! and ends sessions. Nothing else changes a session for a request.

use super::route::{Noted, Route};
use super::{Next, Pipeline};
use crate::resp::{ProtocolError, encode_command, reply};
use crate::router::LinkId;
use crate::router::session::{Asked, Session};
use crate::session::{
    Action, CloseReason, Counted, Decision, Event, Expect, Learn, Outcome, Program, Show, Special,
};

/// What is sent over a link.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// The client's request, with which these bytes begin.
    Request(&'a [u8]),
    /// Another request in its place.
    Other(&'a [u8]),
    /// Nothing more: a large request has been forwarded already.
    Sent,
}

impl Pipeline<'_> {
    /// Carries `decision` out for the request that `input` begins with.
    // Inlined, so that the content of a special decision is not copied for a plain one.
    #[inline(always)]
    pub(super) fn apply(&mut self, decision: Decision, route: Route, asked: Asked, input: &[u8]) {
        let body = Body::Request(input);
        match decision {
            Decision::Plain => {
                if self.session.stale_login {
                    self.log_in_again();
                }
                self.count();
                self.send(route, None, asked, body);
            }
            Decision::Special(special) => self.apply_special(special, route, asked, body),
        }
    }

    #[inline(never)]
    fn apply_special(&mut self, special: Special, route: Route, asked: Asked, body: Body<'_>) {
        let (action, asked) = self.change(special, asked);
        self.count();
        self.act(action, route, asked, body);
    }

    /// Changes the session's state, and adds events for the log. Returns the action that remains, and how
    /// the request is counted.
    pub(super) fn change(&mut self, special: Special, asked: Asked) -> (Action, Asked) {
        if self.session.stale_login && special.action.need().is_some() {
            self.log_in_again();
        }
        let Special { action, change, claim, refused, answered } = special;
        let tells_id =
            change.tells_id() || change.identity().is_some() && self.session.state.knows_id();
        self.session.given = None;
        let shown = if refused.is_some() { Counted::NOT } else { asked.counted };
        self.session.special = (shown, self.session.commands.saturating_add(1));
        self.session.lists |= action.lists_clients();
        let is_logged = claim.authenticates || claim.failed.is_some() || refused.is_some();
        // Patterns of `CONFIG GET` take about as long as a line in the log.
        self.work.special_decision(is_logged || answered.is_some());
        let is_other = change.identity().is_some();
        self.session.state.apply(change);
        self.find_rules();
        let action = if is_other { self.enter_identity(action) } else { action };
        if tells_id {
            let state = &self.session.state;
            self.rules.client_ids.tell(state.client_id(), state.identity());
        }
        if let Some(answered) = answered.filter(|answered| answered.is_new) {
            self.report(Event::Answered(*answered));
        }
        let (action, asked) = match refused {
            None => (action, asked),
            Some(refused) => {
                let program = Program::of(&self.session.state);
                self.report(Event::Refused { refused, program });
                self.counters.commands.add(asked.counted, Outcome::Refused);
                (action, Asked { counted: Counted::NOT, ..asked })
            }
        };
        (self.log_in(claim, action), asked)
    }

    /// Carries out an action; `body` is sent over the link if the request is forwarded.
    pub(super) fn act(&mut self, action: Action, route: Route, asked: Asked, body: Body<'_>) {
        match action {
            Action::Forward { expect, .. } => return self.send(route, Some(expect), asked, body),
            Action::Substitute { request, expect, .. } => {
                return self.send(route, Some(expect), asked, Body::Other(&request));
            }
            Action::Reply(reply) => self.session.reply(reply),
            Action::AwaitLease(error) => self.session.reply(error),
            Action::Silence
            | Action::AwaitReplies
            | Action::AwaitClients(_)
            | Action::AwaitFlush(_) => {}
            Action::Finish { reply, reason } => {
                if let Some(reply) = reply {
                    self.session.reply(reply);
                }
                self.session.end(reason);
            }
            Action::Reset { shown } => self.reset(shown),
        }
        self.counters.commands.add(asked.counted, Outcome::Local);
    }

    /// Returns the link of `route`, ready for the session's request. Returns `None` when there is none, and then
    /// the session has been ended.
    #[inline(always)]
    pub(super) fn take_link(&mut self, route: Route) -> Option<LinkId> {
        let link = match route {
            Route::Link(link) => link,
            Route::Lease(link, noted) => {
                self.prepare_lease(link, noted);
                link
            }
            Route::Local | Route::Refused | Route::Wait => {
                self.refuse_link();
                return None;
            }
        };
        self.session.link = Some(link);
        Some(link)
    }

    /// Ends the session with the error that Redis sends when it has too many clients.
    #[cold]
    fn refuse_link(&mut self) {
        self.session.reply(reply::MAX_CLIENTS.clone());
        self.session.end(CloseReason::NoLease);
    }

    /// Sends the requests of Redoubt's own that bring a new lease into the session's state. Their replies are
    /// awaited, and not shown.
    #[inline(never)]
    fn prepare_lease(&mut self, link: LinkId, noted: Noted) {
        let state = &mut self.session.state;
        state.lease();
        // An open transaction whose MULTI was not sent to Redis must fail at EXEC.
        let is_aborted = state.take_aborted_transaction();
        let Some(requests) = self.links.requests(link, self.id) else { return };
        let pending = &mut self.session.pending;
        let mut expect = |learn| {
            pending.push_remote(link, Expect { show: Show::Nothing, learn }, Counted::NOT);
        };
        if let Some(name) = state.name() {
            // A server that is busy with a script refuses this, and a missing name does no harm.
            encode_command([b"CLIENT".as_slice(), b"SETNAME", name], requests);
            expect(Learn::Nothing);
        }
        if state.knows_id() {
            encode_command([b"CLIENT".as_slice(), b"ID"], requests);
            expect(Learn::Id);
        }
        if noted.0 {
            encode_command([b"PING".as_slice()], requests);
            expect(Learn::Nothing);
        }
        if is_aborted {
            encode_command([b"MULTI".as_slice()], requests);
            requests.extend_from_slice(&self.rules.stand_in.no_such_command());
            expect(Learn::Multi);
            expect(Learn::Nothing);
        }
        self.links.complete_request();
    }

    /// Adds a request to the link's buffer, and its reply to the pending replies: a plain reply if `expect` is
    /// `None`. While the link carries a stream, no bytes on it can be identified as a reply.
    #[inline]
    fn send(&mut self, route: Route, expect: Option<Expect>, asked: Asked, body: Body<'_>) {
        let Some(link) = self.take_link(route) else {
            return self.counters.commands.add(asked.counted, Outcome::Unanswered);
        };
        let Session { state, parser, pending, .. } = &mut *self.session;
        let is_opaque = state.is_opaque();
        let Some(requests) = self.links.requests_of(link, self.id, !is_opaque) else {
            return self.counters.commands.add(asked.counted, Outcome::Unanswered);
        };
        match body {
            Body::Request(input) => parser.request(input).write_to(requests),
            Body::Other(request) => requests.extend_from_slice(request),
            Body::Sent => {}
        }
        if is_opaque {
            self.counters.commands.add(asked.counted, Outcome::Unanswered);
        } else {
            match expect {
                None => pending.push_plain(link, asked.counted),
                Some(expect) => pending.push_remote(link, expect, asked.counted),
            }
            self.counters.begin(asked.class, self.id, link, pending.asked(), self.now);
        }
        self.links.complete_request();
    }

    /// Counts a request that has been taken.
    #[inline]
    pub(super) fn count(&mut self) {
        self.session.commands = self.session.commands.saturating_add(1);
        if self.is_paced {
            self.count_in_rates();
        }
    }

    /// Logs the session's lease in with the credentials in force, if that is possible before the request that
    /// has been decided on.
    #[cold]
    pub(super) fn log_in_again(&mut self) {
        let session = &mut *self.session;
        match session.link {
            Some(own) if session.state.is_leased() => {
                if session.state.can_log_in_again(&session.pending) {
                    self.links.log_in_again(own, self.id, &mut session.pending);
                    session.stale_login = false;
                }
            }
            _ => session.stale_login = false,
        }
    }

    /// Ends the session because a request is too large, without a reply, as Redis does. The lease over which a
    /// part of the request may have been sent is closed.
    pub(super) fn too_large(&mut self, len: usize) -> Next {
        self.session.kill(CloseReason::TooLarge);
        Next::After(len)
    }

    /// Replies to invalid bytes with an error, behind all pending replies, and takes nothing more.
    pub(super) fn protocol_error(&mut self, error: &ProtocolError, len: usize) -> Next {
        if self.session.state.shows_replies() {
            self.session.reply(error.reply());
        }
        self.session.end(CloseReason::Protocol);
        Next::After(len)
    }
}
