//! The pipeline: what every request goes through, from the client's bytes to the link's.
//!
//! ```text
//! parse      bytes            → request                    resp
//! classify   request          → command spec               command table
//! authorize  spec, identity   → allowed | refusal          policy
//! decide     state, request   → decision                   session (changes nothing)
//! route      decision         → link | wait | local reply  route.rs (the only place that picks a link)
//! apply      decision, route  → state, pending reply, bytes for the link   apply.rs
//! ```

mod apply;
mod large;
mod login;
mod route;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::route::Route;
use super::limits::pause::Pause;
use super::limits::turn::Work;
use super::links::Links;
use super::report::counters::Counters;
use super::session::{Asked, Session};
use super::{Router, SessionEvent, SessionId};
use crate::resp::Parsed;
use crate::session::{CloseReason, Event, Known, Rules, classify, decide, is_held_whole};

/// How the loop over a client's bytes goes on after one step.
enum Next {
    /// With the bytes after these.
    After(usize),
    /// When more bytes have come.
    More,
    /// When what it waits for has come.
    Later(Pause),
}

impl Router {
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
            let mut input = std::mem::take(&mut session.input);
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
        if session.eof && session.due.blocks() {
            // As in Redis, a client that has gone ends its blocking command, and what it has sent behind
            // that is dropped: it might wait for ever, with a link of its own.
            session.kill(CloseReason::Client);
        } else if session.eof && session.pause.is_none() {
            session.end(CloseReason::Client);
        }
        if session.may_hold_much() {
            self.count_memory(id, now);
        }
    }

    /// Returns how many bytes of `input` have been dealt with.
    fn take_from(&mut self, id: SessionId, input: &[u8], now: Instant) -> usize {
        let Some(session) = self.sessions.get_mut(id.0) else { return input.len() };
        let work = Work::of(session, &self.rules.limits);
        let mut pipeline = Pipeline {
            id,
            session,
            links: &mut self.links,
            rules: &self.rules,
            events: &mut self.events,
            auth_timeout: self.timeouts.auth,
            counters: &mut self.counters,
            databases: self.databases,
            draining: self.draining,
            now,
            work,
        };
        let mut used = 0;
        let before = pipeline.session.pause.take();
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            if pipeline.work.is_over() && pipeline.session.ending.is_none() {
                pipeline.session.pause = Some(Pause::Turn);
                break;
            }
            pipeline.work.request();
            match pipeline.take(rest) {
                Next::After(len) => used = used.saturating_add(len),
                Next::More => break,
                Next::Later(pause) => {
                    if pause != Pause::Memory && (before != Some(pause) || used > 0) {
                        self.pauses.count(pause);
                    }
                    pipeline.session.pause = Some(pause);
                    break;
                }
            }
        }
        used
    }
}

/// One session at work on its input, with what it needs of the router.
struct Pipeline<'a> {
    id: SessionId,
    session: &'a mut Session,
    links: &'a mut Links,
    rules: &'a Rules,
    events: &'a mut VecDeque<SessionEvent>,
    counters: &'a mut Counters,
    auth_timeout: Duration,
    /// Databases 0 up to this one, exclusive, are known to exist.
    databases: u32,
    draining: bool,
    now: Instant,
    /// What is left of the session's turn.
    work: Work,
}

impl Pipeline<'_> {
    /// Takes one request off `input`.
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
        let len = match self.parse(input) {
            Ok(len) => len,
            Err(next) => return next,
        };
        let Session { state, parser, due, .. } = &*self.session;
        let request = parser.request(input);
        let spec = classify(&request);
        let verdict = self.rules.authorize(&request, spec, state.is_authenticated());
        let known = Known { databases: self.databases, is_whole: len.is_some() };
        let decision = decide(state, &request, spec, verdict, (self.rules, due), known);
        let route = self.route(&decision, spec, len);
        if route == Route::Wait {
            return Next::Later(Pause::Room);
        }
        let asked = Asked::of(spec);
        match len {
            Some(len) => {
                self.apply(decision, route, asked, input);
                Next::After(len)
            }
            None => self.begin_large(decision, route, asked, input),
        }
    }

    /// The length of the request that `input` begins with; `None` for a large one that has begun.
    /// Otherwise how to go on.
    #[inline]
    fn parse(&mut self, input: &[u8]) -> Result<Option<usize>, Next> {
        let limits = &self.rules.limits;
        match self.session.parser.parse(input, self.session.state.request_limits(limits)) {
            Ok(Parsed::Request { len }) if len <= limits.request_size => Ok(Some(len)),
            Ok(Parsed::Request { len }) => Err(self.too_large(len)),
            Ok(Parsed::Incomplete | Parsed::Large) if input.len() > limits.request_size => {
                Err(self.too_large(input.len()))
            }
            Ok(Parsed::Incomplete) => Err(Next::More),
            Ok(Parsed::Large) if self.holds_whole(input) => Err(Next::More),
            Ok(Parsed::Large) => Ok(None),
            Ok(Parsed::Empty { len }) => {
                if self.session.state.empty_request(self.rules) {
                    self.session.end(CloseReason::AuthAttempts);
                }
                Err(Next::After(len))
            }
            Err(error) => Err(self.protocol_error(&error, input.len())),
        }
    }

    /// Notes something worth a log line.
    fn report(&mut self, event: Event) {
        self.events.push_back(SessionEvent::of(self.id, &self.session.state, event));
    }

    /// Returns whether a large request is one that is held until it is complete.
    fn holds_whole(&self, input: &[u8]) -> bool {
        let request = self.session.parser.request(input);
        input.len() < Session::MAX_HELD
            && (is_held_whole(&request)
                || self.rules.scripts.need_more(classify(&request), &request))
    }

    /// Returns why no request can be taken now, if so. Replies, room or a tick will tell the session to go on.
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
}
