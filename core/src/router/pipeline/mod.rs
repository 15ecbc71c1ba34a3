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
mod rates;
mod route;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::route::Route;
use super::limits::pause::{Pause, Pauses};
use super::limits::turn::Work;
use super::links::Links;
use super::report::counters::Counters;
use super::session::{Asked, Session};
use super::{Jobs, SessionEvent, SessionId};
use crate::command::Spec;
use crate::observe::{Recorder, Seen};
use crate::resp::Parsed;
use crate::session::{CloseReason, Event, Known, Rulebook, Rules, classify, decide, is_held_whole};
use crate::upstream::Databases;

/// How the loop over a client's bytes continues after one step.
enum Next {
    /// It continues with the bytes after these.
    After(usize),
    /// It waits for more bytes.
    More,
    /// It waits for this event.
    Later(Pause),
}

/// A session whose requests are taken, with the parts of the router that this needs.
pub(super) struct Pipeline<'a> {
    pub(super) id: SessionId,
    pub(super) session: &'a mut Session,
    pub(super) links: &'a mut Links,
    pub(super) rulebook: &'a Rulebook,
    /// The rules of the session's identity.
    pub(super) rules: &'a Rules,
    pub(super) events: &'a mut VecDeque<SessionEvent>,
    pub(super) jobs: &'a mut Jobs,
    pub(super) counters: &'a mut Counters,
    pub(super) recorder: &'a mut Recorder,
    pub(super) auth_timeout: Duration,
    pub(super) databases: &'a Databases,
    pub(super) draining: bool,
    pub(super) now: Instant,
    /// What is left of the session's turn.
    pub(super) work: Work,
    /// True if a rate bounds the session's commands or bytes; kept here so that other sessions pay for one look.
    pub(super) is_paced: bool,
    /// Bytes of the input behind those that are counted in the rate.
    pub(super) uncounted: usize,
}

impl Pipeline<'_> {
    /// Takes the requests in `input`, as many as may be taken now and in one turn. Returns how many bytes have
    /// been processed.
    #[inline]
    pub(super) fn take_turn(&mut self, input: &[u8], pauses: &mut Pauses) -> usize {
        let mut used = 0;
        self.uncounted = input.len();
        let before = self.session.pause.take();
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            if self.work.is_over() && self.session.ending.is_none() {
                self.session.pause = Some(Pause::Turn);
                break;
            }
            self.work.request();
            match self.take(rest) {
                Next::After(len) => used = used.saturating_add(len),
                Next::More => break,
                Next::Later(pause) => {
                    if pause != Pause::Memory && (before != Some(pause) || used > 0) {
                        pauses.count(pause);
                    }
                    self.session.pause = Some(pause);
                    break;
                }
            }
        }
        if self.is_paced {
            self.end_paced_turn(input.len().saturating_sub(used));
        }
        used
    }

    /// Takes one request, with which `input` begins.
    fn take(&mut self, input: &[u8]) -> Next {
        if self.session.ending.is_some() {
            return Next::After(input.len());
        }
        if let Some(pause) = self.pause(input.len()) {
            return Next::Later(pause);
        }
        if self.session.streaming.is_some() {
            return self.pass_large(input);
        }
        let len = match self.parse(input) {
            Ok(len) => len,
            Err(next) => return next,
        };
        let Session { state, parser, pending, given, .. } = &*self.session;
        let request = parser.request(input);
        let spec = classify(&request);
        let verdict = self.rules.authorize(&request, spec, state.is_authenticated());
        let known = Known { databases: self.databases, given, is_whole: len.is_some() };
        let decision = decide(state, &request, spec, verdict, (self.rules, pending), known);
        let seen = match spec {
            Some(spec) if self.rules.observes => {
                self.recorder.hash(state.identity(), state.database(), &request, spec)
            }
            _ => None,
        };
        let route = self.route(&decision, spec, len);
        if route == Route::Wait {
            return Next::Later(Pause::Room);
        }
        if self.rules.observes
            && decision.is_carried_out()
            && !seen.is_some_and(|hash| self.recorder.count(hash))
        {
            self.observe(input, spec, seen);
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

    /// Returns the length of the request that `input` begins with; `None` for a large request that has begun.
    ///
    /// # Errors
    /// How to continue if `input` does not begin with a request.
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

    /// Records the request that `input` begins with; `hash` is that of [`Recorder::hash`].
    #[inline(never)]
    fn observe(&mut self, input: &[u8], spec: Option<&'static Spec>, hash: Option<u64>) {
        let Session { state, parser, .. } = &*self.session;
        let (identity, database, request) =
            (state.identity(), state.database(), parser.request(input));
        let seen = Seen { identity, database, request: &request, rules: self.rules };
        self.recorder.record(&seen, spec, hash);
    }

    /// Adds an event for the log.
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

    /// Returns why no request can be taken now, if that is so. Replies, room or a tick will resume the session. `rest`
    /// is the length of the rest of the input.
    fn pause(&mut self, rest: usize) -> Option<Pause> {
        let full = |link| self.session.state.is_leased() && self.links.is_full(link);
        let limits = &self.rules.limits;
        if self.session.pending.is_full(limits.in_flight) {
            Some(Pause::InFlight)
        } else if self.session.memory_paused {
            Some(Pause::Memory)
        } else if self.session.is_held()
            || self.session.is_flooded(limits)
            || self.session.link.is_some_and(full)
        {
            Some(Pause::Room)
        } else {
            (self.is_paced && !self.has_tokens(rest)).then_some(Pause::Rate)
        }
    }
}
