//! `AUTH` and `HELLO`: what the client claims is checked here, and never travels upstream.

use bytes::Bytes;

use super::decide::Step;
use super::due::{DueQueue, Expect, Learn};
use super::event::{ClaimedUser, CloseReason, Event};
use super::replies;
use super::rules::Rules;
use super::stand_in::encode;
use super::state::State;
use crate::auth::DEFAULT_USER;
use crate::resp::Protocol;
use crate::resp::{Request, integer, reply};

impl State {
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

    /// `AUTH` of a session that is authenticated already. In a transaction or in subscribed state
    /// Redis answers, to a stand-in that ends as the client's would.
    pub(super) fn auth_again(
        &mut self,
        request: &Request<'_>,
        due: &DueQueue,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        if !(self.opaque || self.transaction || due.confirming() || self.subscriptions.any()) {
            return self.auth(request, rules, emit);
        }
        let request = match self.claim(request, rules, emit) {
            Some(right) => rules.stand_in.auth(right),
            None => encode(&[b"AUTH", b"", b"", b""]),
        };
        Step::Substitute { request, expect: self.plain() }
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
        let right = rules.identity.matches(user, password) & whole;
        if right {
            if !self.authenticated {
                emit(Event::Authenticated { user: rules.identity.user().to_owned() });
            }
            self.authenticated = true;
            self.refused = 0;
        } else {
            emit(Event::AuthFailed { user: ClaimedUser::new(user) });
        }
        right
    }

    /// `HELLO` before authentication: options are taken in order, as Redis does, until one proves
    /// who the client is; then the rest is Redis's to answer.
    pub(super) fn hello_unauthenticated(
        &mut self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        if let Some(error) = version_error(request) {
            return Step::Reply(error);
        }
        let mut index = 2;
        while let Some(option) = request.arg(index) {
            let left = request.len().saturating_sub(index).saturating_sub(1);
            if option.eq_ignore_ascii_case(b"auth") && left >= 2 {
                // Whatever the outcome, the options so far have been dealt with.
                let user = request.arg(index.saturating_add(1)).unwrap_or_default();
                let password = request.arg(index.saturating_add(2)).unwrap_or_default();
                if !self.check(user, password, true, rules, emit) {
                    return Step::Reply(reply::WRONGPASS.clone());
                }
                return self.forward_hello(request, index, rules, emit);
            } else if option.eq_ignore_ascii_case(b"setname") && left >= 1 {
                let name = request.arg(index.saturating_add(1)).unwrap_or_default();
                if !is_client_name(name) {
                    return Step::Reply(replies::BAD_CLIENT_NAME.clone());
                }
                self.pending_name = Some(Bytes::copy_from_slice(name));
                index = index.saturating_add(2);
            } else {
                return Step::Reply(replies::hello_syntax(option));
            }
        }
        Step::Reply(replies::NOAUTH_HELLO.clone())
    }

    /// `HELLO` of a session that is authenticated: Redis answers, but never sees a client's password.
    pub(super) fn hello_again(
        &mut self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        if !is_whole(request) {
            return Step::Finish { reply: None, reason: CloseReason::TooLarge };
        }
        self.forward_hello(request, 2, rules, emit)
    }

    /// Passes a `HELLO` on with each `AUTH` pair from option `from` on replaced by a stand-in.
    fn forward_hello(
        &mut self,
        request: &Request<'_>,
        from: usize,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let mut args: Vec<&[u8]> = request.args().collect();
        // Redis stops at the first option that it refuses, so what follows need not travel.
        let mut accepted = version_error(request).is_none();
        let mut kept = if accepted { from } else { 2 };
        while accepted && let Some(option) = args.get(kept) {
            let left = args.len().saturating_sub(kept).saturating_sub(1);
            if option.eq_ignore_ascii_case(b"setname") && left >= 1 {
                accepted &=
                    args.get(kept.saturating_add(1)).is_some_and(|name| is_client_name(name));
                kept = kept.saturating_add(2);
            } else if option.eq_ignore_ascii_case(b"auth") && left >= 2 {
                let end = kept.saturating_add(3);
                let Some([_, user, password]) = args.get_mut(kept..end) else { break };
                let right = self.check(user, password, true, rules, emit);
                [*user, *password] = rules.stand_in.pair(right);
                kept = end;
                accepted = right;
            } else {
                kept = kept.saturating_add(1);
                accepted = false;
            }
        }
        args.truncate(kept);
        let protocol = request.arg(1).and_then(integer::parse).and_then(Protocol::from_version);
        let learn = match protocol {
            Some(protocol) if self.transaction => {
                // What will fail when it runs is an error inside the reply to EXEC.
                if accepted {
                    self.queued_protocol = Some(protocol);
                }
                Learn::Nothing
            }
            Some(protocol) => Learn::Protocol(protocol),
            None => Learn::Nothing,
        };
        Step::Substitute { request: encode(&args), expect: Expect { learn, ..self.plain() } }
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

/// Whether Redis takes `name` as a client's name.
fn is_client_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// Whether all of it has arrived; a request too large to hold has not.
fn is_whole(request: &Request<'_>) -> bool {
    request.len() == request.declared() && !request.is_cut()
}
