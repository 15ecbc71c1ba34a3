//! Carrying decisions out: the session's state, its replies, requests on links, and ends. Nothing else
//! changes a session for a request.

use super::route::{Noted, Route};
use super::{Next, Pipeline};
use crate::resp::{ProtocolError, encode_command, reply};
use crate::router::LinkId;
use crate::router::session::{Asked, Session};
use crate::session::{
    Action, CloseReason, Counted, Decision, Event, Expect, Learn, Outcome, Refusal, Show, Special,
};

/// What goes over a link.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// The client's request, with which these bytes begin.
    Request(&'a [u8]),
    /// Another request in its place.
    Other(&'a [u8]),
    /// Nothing more: a large request has passed already.
    Sent,
}

impl Pipeline<'_> {
    /// Carries `decision` out for the request that `input` begins with.
    // Inlined, so that a plain decision costs no copy of what a special one may hold.
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

    /// Changes the session's state, and notes what is worth a log line. Returns what is to be done
    /// then, and as what the request counts.
    pub(super) fn change(&mut self, special: Special, asked: Asked) -> (Action, Asked) {
        if self.session.stale_login && special.action.need().is_some() {
            self.log_in_again();
        }
        let Special { action, change, claim, refusal } = special;
        self.work.decision(claim.authenticates || claim.failed.is_some() || refusal.is_some());
        self.session.state.apply(change);
        let (action, asked) = match refusal {
            None => (action, asked),
            Some(Refusal { rule, keys }) => {
                self.report(Event::Refused { rule, keys });
                self.counters.commands.add(asked.counted, Outcome::Refused);
                (action, Asked { counted: Counted::NOT, ..asked })
            }
        };
        (self.log_in(claim, action), asked)
    }

    /// Does what was decided; `body` is what goes over a link if the request is forwarded.
    pub(super) fn act(&mut self, action: Action, route: Route, asked: Asked, body: Body<'_>) {
        match action {
            Action::Forward { expect, .. } => return self.send(route, Some(expect), asked, body),
            Action::Substitute { request, expect, .. } => {
                return self.send(route, Some(expect), asked, Body::Other(&request));
            }
            Action::Reply(reply) => self.session.reply(reply),
            Action::Silence | Action::Unsettled => {}
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

    /// The link of `route`, ready for the session's request. `None` when there is none, and then the
    /// session has been ended.
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

    /// Ends the session as Redis would that has no room for one more client.
    #[cold]
    fn refuse_link(&mut self) {
        self.session.reply(reply::MAX_CLIENTS.clone());
        self.session.end(CloseReason::NoLease);
    }

    /// Sends what a link has to be told before the session's own requests. The replies are awaited, and
    /// not shown.
    #[inline(never)]
    fn prepare_lease(&mut self, link: LinkId, noted: Noted) {
        let state = &mut self.session.state;
        state.lease();
        // An open transaction of which Redis was not told when it began must fail at EXEC.
        let is_aborted = state.take_aborted_transaction();
        let Some(requests) = self.links.requests(link, self.id) else { return };
        let due = &mut self.session.due;
        let mut expect = |learn| {
            due.push_remote(link, Expect { show: Show::Nothing, learn }, Counted::NOT);
        };
        if let Some(name) = state.name() {
            // A server that is busy with a script refuses it, and that the name is missing harms nobody.
            encode_command([b"CLIENT".as_slice(), b"SETNAME", name], requests);
            expect(Learn::Nothing);
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

    /// Adds a request to what a link is sent, and its reply to the pending replies: a plain reply if `expect`
    /// is `None`. While the link carries a stream, no bytes on it can be identified as a reply.
    #[inline]
    fn send(&mut self, route: Route, expect: Option<Expect>, asked: Asked, body: Body<'_>) {
        let Some(link) = self.take_link(route) else {
            return self.counters.commands.add(asked.counted, Outcome::Unanswered);
        };
        let Session { state, parser, due, .. } = &mut *self.session;
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
                None => due.push_plain(link, asked.counted),
                Some(expect) => due.push_remote(link, expect, asked.counted),
            }
            self.counters.begin(asked.class, self.id, link, due.asked(), self.now);
        }
        self.links.complete_request();
    }

    /// A request has been taken.
    #[inline]
    pub(super) fn count(&mut self) {
        self.session.commands = self.session.commands.saturating_add(1);
        if let Some(rate) = self.rules.limits.rate {
            self.session.bucket.take(rate, self.now);
        }
    }

    /// Logs the session's own link in with the credentials of now, if that can be done before the
    /// request that has been decided on.
    #[cold]
    pub(super) fn log_in_again(&mut self) {
        let session = &mut *self.session;
        match session.link {
            Some(own) if session.state.is_leased() => {
                if session.state.can_log_in_again(&session.due) {
                    self.links.log_in_again(own, self.id, &mut session.due);
                    session.stale_login = false;
                }
            }
            _ => session.stale_login = false,
        }
    }

    /// A request is over its limit: like Redis, closes without a word. What of it has been passed on
    /// goes with the lease that it went over.
    pub(super) fn too_large(&mut self, len: usize) -> Next {
        self.session.kill(CloseReason::TooLarge);
        Next::After(len)
    }

    /// Says what was wrong, after all that is due, and takes nothing more.
    pub(super) fn protocol_error(&mut self, error: &ProtocolError, len: usize) -> Next {
        if self.session.state.shows_replies() {
            self.session.reply(error.reply());
        }
        self.session.end(CloseReason::Protocol);
        Next::After(len)
    }
}
