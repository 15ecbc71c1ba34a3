//! `AUTH` and `HELLO`: what the client claims is checked here, and never travels upstream.

use bytes::Bytes;

use super::decide::{Context, Step};
use super::due::DueQueue;
use super::event::{ClaimedUser, CloseReason, Event};
use super::expect::{Expect, Learn, Show};
use super::naming::is_printable;
use super::need::Need;
use super::replies;
use super::rules::Rules;
use super::stand_in::encode;
use super::state::State;
use crate::auth::DEFAULT_USER;
use crate::resp::Protocol;
use crate::resp::{Request, integer, is_word, reply};

impl State {
    /// Whether the request cannot be passed on in pieces, because it does not travel as it came.
    pub fn is_rewritten(request: &Request<'_>) -> bool {
        is_word(request.name(), b"hello")
    }

    /// `AUTH` where Redoubt answers.
    pub(super) fn auth(
        &mut self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        match self.claim(request, rules, emit) {
            None => self.local(replies::SYNTAX_ERROR.clone()),
            Some(true) => self.local(reply::OK.clone()),
            Some(false) => self.local(reply::WRONGPASS.clone()),
        }
    }

    /// `AUTH` of a session that is authenticated already. In a transaction, and in RESP2's subscribed
    /// state, Redis answers, to a stand-in that ends as the client's would.
    ///
    /// From Redis 7.2 to 8.x a wrong one gets no reply while replies are pending, which leaves the link
    /// one reply short. So it travels only where Redis must queue it, and then the link stays with the
    /// session for life.
    pub(super) fn auth_again(
        &mut self,
        request: &Request<'_>,
        due: &DueQueue,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        if !self.opaque && !self.transaction.believed {
            if self.restriction_unsettled(due) {
                return Step::Wait;
            }
            if !self.restricted() {
                return self.auth(request, rules, emit);
            }
        }
        self.pinned = true;
        let request = match self.claim(request, rules, emit) {
            Some(right) => rules.stand_in.auth(right),
            None => encode(&[b"AUTH", b"", b"", b""]),
        };
        Step::Substitute { request, expect: self.plain(), need: Need::Lease }
    }

    /// Checks the claim of an `AUTH`; `None` when it has too many arguments.
    fn claim(
        &mut self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Option<bool> {
        let arg = |index| request.arg(index).unwrap_or_default();
        let whole = is_whole(request);
        match request.declared() {
            2 => Some(self.check(DEFAULT_USER.as_bytes(), arg(1), whole, rules, emit)),
            3 => Some(self.check(arg(1), arg(2), whole, rules, emit)),
            _ => None,
        }
    }

    /// A claim of which part is missing, being larger than Redoubt holds, is wrong.
    fn check(
        &mut self,
        user: &[u8],
        password: &[u8],
        whole: bool,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> bool {
        let credential = rules.identity.check(user, password).filter(|_| whole);
        if credential.is_some() {
            if !self.authenticated {
                emit(Event::Authenticated { user: rules.identity.user().to_owned() });
            }
            self.authenticated = true;
            self.credential = credential;
            self.refused = 0;
            self.idle_requests = 0;
        } else {
            emit(Event::AuthFailed { user: ClaimedUser::new(user) });
        }
        credential.is_some()
    }

    /// `HELLO`. Its options are taken in order, as Redis does, and answered here up to the reply map,
    /// which is Redis's.
    pub(super) fn hello(
        &mut self,
        request: &Request<'_>,
        context: Context<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let Context { rules, due, .. } = context;
        if !is_whole(request) {
            return Step::Finish { reply: None, reason: CloseReason::TooLarge };
        }
        if self.authenticated && self.leased {
            return self.forward_hello(request, context, emit);
        }
        if !self.leased && due.remote() > 0 {
            return Step::Wait;
        }
        if let Some(error) = version_error(request) {
            return self.local(error);
        }
        let mut renamed = None;
        let mut options = request.args().skip(2);
        while let Some(option) = options.next() {
            let left = options.len();
            let mut next = || options.next().unwrap_or_default();
            if is_word(option, b"auth") && left >= 2 {
                let (user, password) = (next(), next());
                if !self.check(user, password, true, rules, emit) {
                    return self.local(reply::WRONGPASS.clone());
                }
            } else if is_word(option, b"setname") && left >= 1 {
                let name = next();
                if let Err(error) = self.rename(name) {
                    return self.local(error);
                }
                renamed = Some(name);
            } else {
                return self.local(replies::hello_syntax(option));
            }
        }
        if !self.authenticated {
            return Step::Reply(replies::NOAUTH_HELLO.clone());
        }
        self.greet(request.arg(1), renamed, rules)
    }

    /// Has Redis say its part of a `HELLO` of which all options have been taken.
    fn greet(&mut self, version: Option<&[u8]>, renamed: Option<&[u8]>, rules: &Rules) -> Step {
        let mut words: Vec<&[u8]> = vec![b"HELLO"];
        words.extend(version);
        if let Some(name) = renamed.filter(|_| self.leased) {
            words.extend([b"SETNAME".as_slice(), name]);
        }
        let protocol = version.and_then(integer::parse).and_then(Protocol::from_version);
        let (need, learn) = match protocol {
            // Known to work, on a link that speaks it already.
            Some(protocol) if !self.leased && rules.speaks_hello() => {
                let before = std::mem::replace(&mut self.protocol, protocol);
                (Need::Moved, Learn::Moved(before))
            }
            None if !self.leased => (Need::Moved, Learn::Nothing),
            protocol => {
                self.left_on_lease.other = true;
                (Need::Lease, protocol.map_or(Learn::Nothing, Learn::Protocol))
            }
        };
        let mut expect = Expect { learn, ..self.plain() };
        if need == Need::Moved && expect.show == Show::Reply {
            expect.show = Show::Greeting;
        }
        Step::Substitute { request: encode(&words), expect, need }
    }

    /// Passes a `HELLO` on with each `AUTH` pair replaced by a stand-in, for Redis to take or queue.
    fn forward_hello(
        &mut self,
        request: &Request<'_>,
        context: Context<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let Context { rules, due, .. } = context;
        let queues = self.opaque || self.transaction.believed;
        // From Redis 7.2 to 8.x a wrong password gets no reply while others are pending.
        let claims = request.args().skip(2).any(|option| is_word(option, b"auth"));
        if !queues && (self.restriction_unsettled(due) || (claims && due.remote() > 0)) {
            return Step::Wait;
        }
        let mut args: Vec<&[u8]> = request.args().collect();
        // Redis stops at the first option that it refuses, so what follows need not travel.
        let mut accepted = version_error(request).is_none();
        let (mut wrong, mut renamed) = (false, None);
        let mut kept = 2;
        while let Some(option) = args.get(kept).filter(|_| accepted) {
            let left = args.len().saturating_sub(kept).saturating_sub(1);
            if is_word(option, b"setname") && left >= 1 {
                accepted = args.get(kept.saturating_add(1)).is_some_and(|name| is_printable(name));
                renamed = args.get(kept.saturating_add(1)).copied().filter(|_| accepted);
                kept = kept.saturating_add(2);
            } else if is_word(option, b"auth") && left >= 2 {
                let end = kept.saturating_add(3);
                let Some([_, user, password]) = args.get_mut(kept..end) else { break };
                let right = self.check(user, password, true, rules, emit);
                [*user, *password] = rules.stand_in.pair(right);
                kept = end;
                accepted = right;
                wrong = !right;
            } else {
                kept = kept.saturating_add(1);
                accepted = false;
            }
        }
        if wrong && !queues && !self.restricted() {
            // Redis would say nothing while messages are pending, too.
            let Some(name) = renamed else { return self.local(reply::WRONGPASS.clone()) };
            // As Redis 7.0, which takes the options before the wrong one.
            let error = self.rename(name).err().unwrap_or_else(|| reply::WRONGPASS.clone());
            let show = if self.shows_replies() { Show::Instead(error) } else { Show::Nothing };
            return Step::Substitute {
                request: encode(&[b"CLIENT", b"SETNAME", name]),
                expect: Expect { show, learn: Learn::Name },
                need: Need::Lease,
            };
        }
        args.truncate(kept);
        let protocol = request.arg(1).and_then(integer::parse).and_then(Protocol::from_version);
        let learn = match protocol {
            Some(protocol) if self.transaction.believed => {
                // What will fail when it runs is an error inside the reply to EXEC.
                if accepted {
                    self.queued_protocol = Some(protocol);
                }
                Learn::Nothing
            }
            Some(protocol) => Learn::Protocol(protocol),
            None => Learn::Nothing,
        };
        self.left_on_lease.other = true;
        // It may be unsure when, and whether, it takes effect.
        self.pinned |= self.asks_redis(due) || request.declared() > 2;
        let expect = Expect { learn, ..self.plain() };
        Step::Substitute { request: encode(&args), expect, need: Need::Lease }
    }
}

/// What Redis says of a version that it does not speak.
fn version_error(request: &Request<'_>) -> Option<Bytes> {
    match integer::parse(request.arg(1)?) {
        None => Some(replies::NOT_A_VERSION.clone()),
        Some(version) if Protocol::from_version(version).is_none() => {
            Some(replies::NOPROTO.clone())
        }
        Some(_) => None,
    }
}

/// Whether all of it has arrived; a request too large to hold has not.
fn is_whole(request: &Request<'_>) -> bool {
    request.len() == request.declared() && !request.is_cut()
}
