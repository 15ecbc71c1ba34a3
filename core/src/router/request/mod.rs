//! From a client's bytes to decisions, and carrying them out.

mod aborted;
mod admission;
mod carry_out;
mod pass_on;
mod place;
mod route;

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::links::Links;
use super::pause::{Pause, Pauses};
use super::session::{Asked, Session, Streaming};
use super::tally::Tally;
use super::turn::Work;
use super::{Exchange, SessionId};
use crate::command::Spec;
use crate::resp::Parsed;
use crate::session::{
    CloseReason, Context, Counted, Event, Need, Outcome, Rules, State, Step, find,
};

/// How the loop over a client's bytes goes on after one step.
enum Next {
    /// With the bytes after these.
    After(usize),
    /// When more bytes have come.
    More,
    /// When what it waits for has come.
    Later(Pause),
}

impl Exchange {
    /// Takes as many requests as there are, and may be taken now and in one turn, from what the
    /// client has sent.
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
                session.keep_input(input, used);
            }
        }
        self.after_requests(id, now);
        self.close_displaced();
        self.touch(id);
    }

    /// Looks again at requests that had to wait; not at those that wait for the session's own turn,
    /// as this is the turn of another.
    pub(super) fn resume(&mut self, id: SessionId, now: Instant) {
        if let Some(session) = self.sessions.get_mut(id.0)
            && session.pause.is_some_and(|pause| pause != Pause::Turn)
        {
            self.take_requests(id, &[], now);
        }
    }

    fn after_requests(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        session.parser.release();
        if !session.state.is_authenticated() {
            session.recount();
            session.bound_bytes();
        }
        if session.eof && session.pause.is_none() {
            if session.due.blocks() {
                session.kill(CloseReason::Client);
            } else {
                session.end(CloseReason::Client);
            }
        }
        if session.may_hold_much() {
            self.count_memory(id, now);
        }
    }

    /// Returns how many bytes of `input` have been dealt with.
    fn take_from(&mut self, id: SessionId, input: &[u8], now: Instant) -> usize {
        let Some(session) = self.sessions.get_mut(id.0) else { return input.len() };
        let work = Work::of(session, &self.rules.limits);
        let mut taker = Taker {
            id,
            session,
            links: &mut self.links,
            rules: &self.rules,
            events: &mut self.events,
            auth_timeout: self.timeouts.auth,
            pauses: &mut self.pauses,
            tally: &mut self.tally,
            databases: self.databases,
            draining: self.draining,
            now,
            asked: Asked::of(None),
            work,
        };
        let mut used = 0;
        let before = taker.session.pause.take();
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            if taker.work.is_over() && taker.session.ending.is_none() {
                taker.session.pause = Some(Pause::Turn);
                break;
            }
            taker.work.request();
            match taker.take(rest) {
                Next::After(len) => used = used.saturating_add(len),
                Next::More => break,
                Next::Later(pause) => {
                    if pause != Pause::Memory && (before != Some(pause) || used > 0) {
                        taker.pauses.count(pause);
                    }
                    taker.session.pause = Some(pause);
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
    pauses: &'a mut Pauses,
    tally: &'a mut Tally,
    auth_timeout: Duration,
    databases: u32,
    draining: bool,
    now: Instant,
    /// What the request is that was decided last.
    asked: Asked,
    /// What is left of the session's turn.
    work: Work,
}

impl Taker<'_> {
    fn take(&mut self, input: &[u8]) -> Next {
        if self.session.ending.is_some() {
            return Next::After(input.len());
        }
        if let Some(pause) = self.pause() {
            return Next::Later(pause);
        }
        if self.session.streaming.is_some() {
            return self.pass_large(input);
        }
        let limits = &self.rules.limits;
        match self.session.parser.parse(input, self.session.state.request_limits(limits)) {
            Ok(Parsed::Incomplete | Parsed::Large) if input.len() > limits.request_size => {
                self.too_large(input.len())
            }
            Ok(Parsed::Incomplete) => Next::More,
            Ok(Parsed::Empty { len }) => {
                if self.session.state.empty_request(self.rules) {
                    self.session.end(CloseReason::AuthAttempts);
                }
                Next::After(len)
            }
            Ok(Parsed::Request { len }) if len > limits.request_size => self.too_large(len),
            Ok(Parsed::Request { len }) => {
                let spec = find(&self.session.parser.request(input));
                if spec.is_some_and(|spec| self.pass_on(input, spec, len)) {
                    return Next::After(len);
                }
                let step = self.decide(input, spec, Some(len));
                if step == Step::Wait {
                    return Next::Later(Pause::Room);
                }
                self.carry_out(step, Some(input));
                Next::After(len)
            }
            Ok(Parsed::Large) if self.holds_whole(input) => Next::More,
            Ok(Parsed::Large) => {
                let spec = find(&self.session.parser.request(input));
                let step = self.decide(input, spec, None);
                if step == Step::Wait {
                    return Next::Later(Pause::Room);
                }
                self.session.streaming = Some(Streaming { step, asked: self.asked, passed: 0 });
                self.pass_large(input)
            }
            Err(error) => self.protocol_error(&error, input.len()),
        }
    }

    /// Whether a large request is one that is held until it is complete.
    fn holds_whole(&self, input: &[u8]) -> bool {
        let request = self.session.parser.request(input);
        input.len() < Session::MAX_HELD
            && (State::is_rewritten(&request)
                || self.rules.scripts.need_more(find(&request), &request))
    }

    /// Why no request can be taken now, if so. Replies, room or a tick will tell the session to go on.
    fn pause(&self) -> Option<Pause> {
        let full = |link| self.session.state.is_leased() && self.links.is_full(link);
        let limits = &self.rules.limits;
        if self.session.due.is_full(limits.in_flight) {
            Some(Pause::InFlight)
        } else if self.session.memory_paused {
            Some(Pause::Memory)
        } else if self.session.is_held()
            || self.session.is_flooded(limits)
            || self.session.link.is_some_and(full)
        {
            Some(Pause::Room)
        } else {
            let rate = limits.rate.filter(|rate| self.session.bucket.is_empty(*rate, self.now));
            rate.map(|_| Pause::Rate)
        }
    }

    /// `len` is the request's; `None` while it is large and not complete.
    fn decide(&mut self, input: &[u8], spec: Option<&'static Spec>, len: Option<usize>) -> Step {
        if self.session.stale_login {
            self.log_in_again();
        }
        let request = self.session.parser.request(input);
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
        let events_before = events.len();
        let (mut failed, mut refused) = (false, false);
        let mut step = state.decide(&parser.request(input), spec, context, &mut |event| {
            failed |= matches!(event, Event::AuthFailed { .. });
            refused |= matches!(event, Event::Refused { .. });
            events.push_back((id, event));
        });
        if !was_authenticated && state.is_authenticated() {
            step = self.let_in(step);
        }
        if failed {
            step = self.slow_down(step);
        }
        self.work.decision(self.events.len().saturating_sub(events_before));
        self.asked = Asked::of(spec);
        if refused && step != Step::Wait {
            let counted = mem::replace(&mut self.asked.counted, Counted::NOT);
            self.tally.commands.add(counted, Outcome::Refused);
        }
        step
    }

    /// Passes on, or drops, what has come of a large request.
    fn pass_large(&mut self, input: &[u8]) -> Next {
        let limits = self.session.state.request_limits(&self.rules.limits);
        let streamed = match self.session.parser.stream(input, limits) {
            Ok(streamed) => streamed,
            Err(error) => return self.protocol_error(&error, input.len()),
        };
        let Some(Streaming { step, passed, .. }) = &mut self.session.streaming else {
            return Next::After(streamed.len);
        };
        *passed = passed.saturating_add(streamed.len);
        if *passed > self.rules.limits.request_size {
            return self.too_large(streamed.len);
        }
        if let Step::Forward { need, .. } = *step
            && let Some(link) = self.link(need)
            && let Some(requests) = self.links.requests(link, self.id)
        {
            requests.extend_from_slice(input.get(..streamed.len).unwrap_or_default());
            self.links.settle();
        }
        if streamed.done {
            if let Some(Streaming { step, asked, .. }) = self.session.streaming.take() {
                self.asked = asked;
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
}
