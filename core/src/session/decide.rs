//! What a request means: refuse it, answer it here, or pass it on.
//!
//! The order of the checks is that of Redis's `processCommand`: misuse from a browser, existence,
//! arity, authentication, then the command itself. Where only Redis can know (inside a transaction,
//! in subscribed state), Redis is asked, with a stand-in where the request itself must not travel.

use bytes::Bytes;

use super::client_reply::ReplyMode;
use super::due::DueQueue;
use super::event::{CloseReason, Event};
use super::expect::Expect;
use super::need::Need;
use super::replies;
use super::rules::Rules;
use super::state::State;
use crate::command::{self, Effect, Spec};
use crate::policy::{self, Decision};
use crate::resp::{Request, is_word, reply};

/// What to do with a request. There is no `Debug`: it may hold the link's own credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Answer it with these bytes, after all that is due.
    Reply(Bytes),
    /// Answer nothing.
    Silence,
    /// Answer it, if there is an answer, and close the session after that.
    Finish {
        /// The last reply.
        reply: Option<Bytes>,
        /// Why the session ends.
        reason: CloseReason,
    },
    /// Pass it on as it came.
    Forward {
        /// What its reply is for.
        expect: Expect,
        /// Over which kind of link.
        need: Need,
    },
    /// Pass another request on in its place.
    Substitute {
        /// A whole request.
        request: Bytes,
        /// What its reply is for.
        expect: Expect,
        /// Over which kind of link.
        need: Need,
    },
    /// Let the link go and answer `+RESET`, if the client wants that.
    Reset {
        /// Whether the answer is shown.
        shown: bool,
    },
    /// Not now: decide it again when no reply is due any more.
    Wait,
}

/// What a decision is made with, besides the session's own state.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What holds for all sessions.
    pub rules: &'a Rules,
    /// The session's reply queue.
    pub due: &'a DueQueue,
    /// Which kind of link the request needs.
    pub need: Need,
}

impl State {
    /// Decides on a request that is complete, or large and begun. `spec` is what the table says of
    /// it (see [`find`]).
    ///
    /// Changes the state as the request does, unless the answer is [`Step::Wait`].
    pub fn decide(
        &mut self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
        context: Context<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let step = if spec.is_none() && is_cross_protocol(request.name()) {
            Step::Finish { reply: None, reason: CloseReason::CrossProtocol }
        } else if self.authenticated {
            self.decide_known(request, spec, context, emit)
        } else {
            self.decide_unknown(request, context, emit)
        };
        if step != Step::Wait {
            self.replies.request_done();
        }
        let orderable = matches!(
            step,
            Step::Forward { .. } | Step::Substitute { .. } | Step::Finish { reply: None, .. }
        );
        if self.opaque && !orderable {
            return Step::Finish { reply: None, reason: CloseReason::Unorderable };
        }
        step
    }

    /// A request of a session that has not proved who it is.
    fn decide_unknown(
        &mut self,
        request: &Request<'_>,
        context: Context<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let rules = context.rules;
        let spec = match existing(request, rules, emit) {
            Ok(spec) => spec,
            Err(error) => return self.refuse(error, rules),
        };
        if !spec.arity_holds(request.declared()) {
            return self.refuse(in_place_of(spec, policy::wrong_arity(spec)), rules);
        }
        let step = match spec.effect {
            Effect::Quit => self.quit(),
            Effect::Reset if self.idle_request(rules) => {
                let reply = Some(reply::RESET.clone());
                return Step::Finish { reply, reason: CloseReason::AuthAttempts };
            }
            Effect::Reset => self.let_go(),
            Effect::Auth => self.auth(request, rules, emit),
            Effect::Hello => self.hello(request, context, emit),
            _ => Step::Reply(in_place_of(spec, reply::NOAUTH.clone())),
        };
        match step {
            Step::Reply(error) if !self.authenticated => self.refuse(error, rules),
            other => other,
        }
    }

    /// Counts an error given to a session that is not authenticated.
    fn refuse(&mut self, error: Bytes, rules: &Rules) -> Step {
        self.refused = self.refused.saturating_add(1);
        if self.refused > rules.auth_attempts {
            return Step::Finish { reply: Some(error), reason: CloseReason::AuthAttempts };
        }
        Step::Reply(error)
    }

    /// `RESET`. It ends `CLIENT REPLY OFF` before it answers, but not `SKIP`.
    pub(super) fn let_go(&self) -> Step {
        Step::Reset { shown: self.replies != ReplyMode::Skip }
    }

    pub(super) fn quit(&self) -> Step {
        let reply = self.shows_replies().then(|| reply::OK.clone());
        Step::Finish { reply, reason: CloseReason::Quit }
    }

    /// A local reply, if the client wants any.
    pub(super) fn local(&self, reply: Bytes) -> Step {
        if self.shows_replies() { Step::Reply(reply) } else { Step::Silence }
    }

    /// What is expected of an ordinary request.
    pub(super) fn plain(&self) -> Expect {
        if self.shows_replies() { Expect::PLAIN } else { Expect::DROPPED }
    }
}

/// What the table says of a request: the subcommand where there is one. `None` for a command or
/// subcommand that it does not know.
pub fn find(request: &Request<'_>) -> Option<&'static Spec> {
    let spec = command::lookup(request.name())?;
    match request.arg(1) {
        Some(word) if spec.is_container() => spec.subcommand(word),
        _ => Some(spec),
    }
}

/// Existence, as Redis checks it; a refused command does not exist.
fn existing(
    request: &Request<'_>,
    rules: &Rules,
    emit: &mut dyn FnMut(Event),
) -> Result<&'static Spec, Bytes> {
    let command = command::lookup(request.name()).filter(|spec| rules.exists(spec));
    if let Decision::Deny(denied) = rules.policy.decide(command, request.name(), request.arg(1)) {
        emit(Event::Refused { rule: denied.rule().clone(), keys: Vec::new() });
        return Err(denied.reply(request.args()));
    }
    let spec = match (command, find(request).filter(|spec| rules.exists(spec))) {
        (None, _) => return Err(policy::unknown_command(request.args())),
        (Some(_), None) => return Err(policy::unknown_subcommand(request.args())),
        (Some(_), Some(spec)) => spec,
    };
    match rules.scripts.decide_by_name(spec) {
        Decision::Allow => Ok(spec),
        Decision::Deny(denied) => {
            emit(Event::Refused { rule: denied.rule().clone(), keys: Vec::new() });
            Err(denied.reply(request.args()))
        }
    }
}

/// The error for a command that is rejected before it runs; `EXEC` has words of its own for it.
fn in_place_of(spec: &Spec, error: Bytes) -> Bytes {
    if spec.effect == Effect::Exec { replies::exec_aborted(&error) } else { error }
}

/// `POST` and `Host:` are what a browser sends when a page makes it speak to Redis.
fn is_cross_protocol(name: &[u8]) -> bool {
    is_word(name, b"post") || is_word(name, b"host:")
}
