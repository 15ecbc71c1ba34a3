//! From a client's bytes to decisions, and carrying them out.

mod admission;
mod route;

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Buf;

use super::links::{Links, Usage};
use super::session::Session;
use super::{Exchange, LinkId, SessionId};
use crate::resp::{Parsed, ProtocolError};
use crate::session::{CloseReason, Context, Event, Expect, Need, Rules, State, Step, find};

/// How the loop over a client's bytes goes on after one step.
enum Next {
    /// With the bytes after these.
    After(usize),
    /// When more bytes have come.
    More,
    /// When replies have come or buffers have drained.
    Later,
}

impl Exchange {
    /// Takes as many requests as there are and may be taken from what the client has sent.
    pub(super) fn take_requests(&mut self, id: SessionId, fresh: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        if session.input.is_empty() {
            let used = self.take_from(id, fresh, now);
            if let Some(session) = self.sessions.get_mut(id.0)
                && session.ending.is_none()
            {
                session.input.extend_from_slice(fresh.get(used..).unwrap_or_default());
            }
        } else {
            let mut input = mem::take(&mut session.input);
            input.extend_from_slice(fresh);
            let used = self.take_from(id, &input, now);
            if let Some(session) = self.sessions.get_mut(id.0)
                && session.ending.is_none()
            {
                input.advance(used.min(input.len()));
                session.input = input;
                session.release_buffers();
            }
        }
        self.after_requests(id);
        self.touch(id);
    }

    /// Looks again at requests that had to wait.
    pub(super) fn resume(&mut self, id: SessionId, now: Instant) {
        if let Some(session) = self.sessions.get_mut(id.0)
            && session.stalled
        {
            session.stalled = false;
            self.take_requests(id, &[], now);
        }
    }

    fn after_requests(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        session.recount();
        if session.eof && !session.stalled {
            if session.due.blocks() {
                session.kill(CloseReason::Client);
            } else {
                session.end(CloseReason::Client);
            }
        }
    }

    /// Returns how many bytes of `input` have been dealt with.
    fn take_from(&mut self, id: SessionId, input: &[u8], now: Instant) -> usize {
        let Some(session) = self.sessions.get_mut(id.0) else { return input.len() };
        let mut taker = Taker {
            id,
            session,
            links: &mut self.links,
            rules: &self.rules,
            events: &mut self.events,
            auth_timeout: self.timeouts.auth,
            databases: self.databases,
            draining: self.draining,
            now,
        };
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            match taker.take(rest) {
                Next::After(len) => used = used.saturating_add(len),
                Next::More => break,
                Next::Later => {
                    taker.session.stalled = true;
                    break;
                }
            }
        }
        used
    }
}

/// One session at work on its input, with what it needs of the exchange.
struct Taker<'a> {
    id: SessionId,
    session: &'a mut Session,
    links: &'a mut Links,
    rules: &'a Rules,
    events: &'a mut VecDeque<(SessionId, Event)>,
    auth_timeout: Duration,
    databases: u32,
    draining: bool,
    now: Instant,
}

impl Taker<'_> {
    fn take(&mut self, input: &[u8]) -> Next {
        if self.session.ending.is_some() {
            return Next::After(input.len());
        }
        if self.must_wait() {
            return Next::Later;
        }
        if self.session.streaming.is_some() {
            return self.pass_large(input);
        }
        let limits = self.session.state.request_limits();
        match self.session.parser.parse(input, limits) {
            Ok(Parsed::Incomplete) => Next::More,
            Ok(Parsed::Empty { len }) => {
                self.session.state.empty_request();
                Next::After(len)
            }
            Ok(Parsed::Request { len }) => {
                let step = self.decide(input, Some(len));
                if step == Step::Wait {
                    return Next::Later;
                }
                self.carry_out(step, Some(input));
                Next::After(len)
            }
            Ok(Parsed::Large) if self.holds_whole(input) => Next::More,
            Ok(Parsed::Large) => {
                let step = self.decide(input, None);
                if step == Step::Wait {
                    return Next::Later;
                }
                self.session.streaming = Some(step);
                self.pass_large(input)
            }
            Err(error) => self.protocol_error(&error, input.len()),
        }
    }

    /// Whether a large request is one that is held until it is complete.
    fn holds_whole(&self, input: &[u8]) -> bool {
        let request = self.session.parser.request(input);
        input.len() < Session::MAX_HELD && State::is_rewritten(&request)
    }

    /// Whether no request can be taken now. Replies, or room, will tell the session to go on.
    fn must_wait(&self) -> bool {
        let full = |link| self.session.state.is_leased() && self.links.is_full(link);
        self.session.is_held()
            || self.session.due.is_full()
            || self.session.is_flooded()
            || self.session.link.is_some_and(full)
    }

    /// `len` is the request's; `None` while it is large and not complete.
    fn decide(&mut self, input: &[u8], len: Option<usize>) -> Step {
        let request = self.session.parser.request(input);
        let spec = find(&request);
        let need = match self.session.state.need(&request, spec, self.databases, self.rules) {
            _ if len.is_none() => Need::Lease,
            Need::Shared if self.is_better_leased(spec, len) => Need::Lease,
            need => need,
        };
        if !self.can_reach(need) {
            return Step::Wait;
        }
        let Session { state, parser, due, .. } = &mut *self.session;
        let was_authenticated = state.is_authenticated();
        let context = Context { rules: self.rules, due, need };
        let (id, events) = (self.id, &mut *self.events);
        let mut failed = false;
        let mut step = state.decide(&parser.request(input), spec, context, &mut |event| {
            failed |= matches!(event, Event::AuthFailed { .. });
            events.push_back((id, event));
        });
        if !was_authenticated && state.is_authenticated() {
            step = self.let_in(step);
        }
        if failed {
            step = self.slow_down(step);
        }
        step
    }

    /// Passes on, or drops, what has come of a large request.
    fn pass_large(&mut self, input: &[u8]) -> Next {
        let limits = self.session.state.request_limits();
        let streamed = match self.session.parser.stream(input, limits) {
            Ok(streamed) => streamed,
            Err(error) => return self.protocol_error(&error, input.len()),
        };
        if let Some(Step::Forward { need, .. }) = self.session.streaming
            && let Some(link) = self.link(need)
            && let Some(requests) = self.links.requests(link)
        {
            requests.extend_from_slice(input.get(..streamed.len).unwrap_or_default());
            self.links.settle();
        }
        if streamed.done {
            if let Some(step) = self.session.streaming.take() {
                self.carry_out(step, None);
            }
            if self.draining {
                self.session.end(CloseReason::Shutdown);
            }
        } else if streamed.len == 0 {
            return Next::More;
        }
        Next::After(streamed.len)
    }

    /// Carries a decision out. `input` begins with the request; without it, a large request has
    /// passed already.
    fn carry_out(&mut self, step: Step, input: Option<&[u8]>) {
        self.session.commands = self.session.commands.saturating_add(1);
        match step {
            Step::Reply(reply) => self.session.reply(reply),
            Step::Silence | Step::Wait => {}
            Step::Finish { reply, reason } => {
                if let Some(reply) = reply {
                    self.session.reply(reply);
                }
                self.session.end(reason);
            }
            Step::Forward { expect, need } => {
                let Some(link) = self.link(need) else { return };
                if let Some(input) = input {
                    let request = self.session.parser.request(input);
                    if let Some(requests) = self.links.requests(link) {
                        request.write_to(requests);
                    }
                }
                self.expect(link, expect);
            }
            Step::Substitute { request, expect, need } => {
                let Some(link) = self.link(need) else { return };
                if let Some(requests) = self.links.requests(link) {
                    requests.extend_from_slice(&request);
                }
                self.expect(link, expect);
            }
            Step::Reset { shown } => self.reset(shown),
        }
    }

    /// While the link carries a stream, nothing on it can be told to be a reply.
    fn expect(&mut self, link: LinkId, expect: Expect) {
        if !self.session.state.is_opaque() {
            self.session.due.push_remote(expect);
            let usage = self.links.get_mut(link).map(|held| &mut held.usage);
            if let Some(Usage::Shared(shared)) = usage {
                shared.expect(self.id);
            }
        }
        self.links.settle();
    }

    /// Says what was wrong, after all that is due, and takes nothing more.
    fn protocol_error(&mut self, error: &ProtocolError, len: usize) -> Next {
        if self.session.state.shows_replies() {
            self.session.reply(error.reply());
        }
        self.session.end(CloseReason::Protocol);
        Next::After(len)
    }
}
