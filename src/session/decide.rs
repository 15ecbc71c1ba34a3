//! What a request means: refuse it, answer it here, or pass it on.
//!
//! The order of the checks is that of Redis's `processCommand`: misuse from a browser, existence,
//! arity, authentication, then the command itself. Where only Redis can know (inside a transaction,
//! in subscribed state), Redis is asked, with a stand-in where the request itself must not travel.

use bytes::Bytes;

use super::due::{DueQueue, Expect, Learn, Show};
use super::event::{CloseReason, Event};
use super::pubsub::Confirmations;
use super::replies;
use super::rules::Rules;
use super::state::State;
use crate::command::{self, ChannelKind, Effect, Spec};
use crate::policy::{self, Decision};
use crate::resp::{Request, reply};

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    Forward(Expect),
    /// Pass this on in its place.
    Substitute {
        /// A whole request.
        request: Bytes,
        /// What its reply is for.
        expect: Expect,
    },
    /// Let the link go and answer `+RESET`.
    Reset,
    /// Not now: decide it again when no reply is due any more.
    Wait,
}

impl State {
    /// Decides on a request that is complete, or large and begun.
    ///
    /// `due` is the session's reply queue. Changes the state as the request does, unless the answer
    /// is [`Step::Wait`].
    pub fn decide(
        &mut self,
        request: &Request<'_>,
        due: &DueQueue,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let step = if self.authenticated {
            self.decide_known(request, due, rules, emit)
        } else {
            self.decide_unknown(request, rules, emit)
        };
        if step != Step::Wait {
            self.replies.request_done();
        }
        if self.opaque && !matches!(step, Step::Forward(_) | Step::Substitute { .. }) {
            return Step::Finish { reply: None, reason: CloseReason::Unorderable };
        }
        step
    }

    /// A request of a session that has not proved who it is.
    fn decide_unknown(
        &mut self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        if is_cross_protocol(request.name()) {
            return Step::Finish { reply: None, reason: CloseReason::CrossProtocol };
        }
        let spec = match self.find(request, rules, emit) {
            Ok(spec) => spec,
            Err(error) => return self.refuse(error, rules),
        };
        if !spec.arity_holds(request.declared()) {
            return self.refuse(policy::wrong_arity(spec), rules);
        }
        let step = match spec.effect {
            Effect::Quit => self.quit(),
            Effect::Reset => Step::Reset,
            Effect::Auth => self.auth(request, rules, emit),
            Effect::Hello => self.hello_unauthenticated(request, rules, emit),
            _ => Step::Reply(reply::NOAUTH.clone()),
        };
        match step {
            Step::Reply(error) if !self.authenticated => self.refuse(error, rules),
            other => other,
        }
    }

    /// A request of a session that may reach upstream.
    fn decide_known(
        &mut self,
        request: &Request<'_>,
        due: &DueQueue,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let spec = command::lookup(request.name());
        if spec.is_none() && is_cross_protocol(request.name()) {
            return Step::Finish { reply: None, reason: CloseReason::CrossProtocol };
        }
        if let Decision::Deny(denied) = rules.policy.decide(spec, request.name(), request.arg(1)) {
            emit(Event::Refused { rule: denied.rule().clone() });
            return self.refused(denied.reply(request.args()), rules);
        }
        let Some(spec) = spec else { return Step::Forward(self.plain()) };
        let spec = request.arg(1).and_then(|word| spec.subcommand(word)).unwrap_or(spec);
        match spec.effect {
            Effect::None | Effect::Select | Effect::Watch | Effect::Unwatch => {
                Step::Forward(self.plain())
            }
            Effect::Script | Effect::Pins | Effect::ClientName => Step::Forward(self.plain()),
            Effect::Exec => {
                self.transaction = false;
                let learn = self.queued_protocol.take().map_or(Learn::Nothing, Learn::Protocol);
                Step::Forward(Expect { learn, ..self.plain() })
            }
            _ if !spec.arity_holds(request.declared()) => self.wrong_arity(spec),
            Effect::Blocks | Effect::BlocksOnOption | Effect::Wait => {
                Step::Forward(Expect { learn: Learn::Unblocked, ..self.plain() })
            }
            Effect::Multi if self.restriction_unsettled(due) => Step::Wait,
            Effect::Multi => {
                self.transaction |= !self.restricted();
                Step::Forward(self.plain())
            }
            Effect::Discard => {
                self.transaction = false;
                self.queued_protocol = None;
                Step::Forward(self.plain())
            }
            Effect::Subscribe(kind) | Effect::Unsubscribe(kind) => {
                self.subscription(request, kind, due)
            }
            Effect::Streams => self.go_opaque(due),
            Effect::ClientReply => self.client_reply(request, due, rules),
            Effect::Auth => self.auth_again(request, due, rules, emit),
            Effect::Hello => self.hello_again(request, rules, emit),
            Effect::Quit if self.opaque => Step::Forward(self.plain()),
            Effect::Quit => self.quit(),
            Effect::Reset if due.remote() > 0 || self.inside_notice => Step::Wait,
            Effect::Reset => Step::Reset,
        }
    }

    /// Existence, as Redis checks it; a refused command does not exist.
    fn find(
        &self,
        request: &Request<'_>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Result<&'static Spec, Bytes> {
        let exists = |spec: &&'static Spec| rules.upstream_version.is_none_or(|v| spec.since <= v);
        let spec = command::lookup(request.name()).filter(exists);
        if let Decision::Deny(denied) = rules.policy.decide(spec, request.name(), request.arg(1)) {
            emit(Event::Refused { rule: denied.rule().clone() });
            return Err(denied.reply(request.args()));
        }
        let Some(spec) = spec else { return Err(policy::unknown_command(request.args())) };
        match request.arg(1) {
            Some(word) if spec.is_container() => spec
                .subcommand(word)
                .filter(exists)
                .ok_or_else(|| policy::unknown_subcommand(request.args())),
            _ => Ok(spec),
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

    /// A command that does not exist for this client. Inside a transaction Redis must mark the failure.
    fn refused(&self, error: Bytes, rules: &Rules) -> Step {
        if self.opaque {
            return Step::Finish { reply: None, reason: CloseReason::Unorderable };
        }
        if !self.transaction {
            return self.local(error);
        }
        let show = if self.shows_replies() { Show::Instead(error) } else { Show::Nothing };
        Step::Substitute {
            request: rules.stand_in.no_such_command(),
            expect: Expect { show, learn: Learn::Nothing },
        }
    }

    /// A wrong number of arguments for a command whose effect Redoubt tracks: Redis says so itself,
    /// and marks the transaction, unless the words must not travel.
    fn wrong_arity(&self, spec: &'static Spec) -> Step {
        match spec.effect {
            Effect::Auth | Effect::Hello | Effect::Quit | Effect::Reset if !self.transaction => {
                self.local(policy::wrong_arity(spec))
            }
            _ => Step::Forward(self.plain()),
        }
    }

    fn subscription(&mut self, request: &Request<'_>, kind: ChannelKind, due: &DueQueue) -> Step {
        if self.transaction {
            return self.go_opaque(due);
        }
        if self.opaque {
            return Step::Forward(self.plain());
        }
        let named = u32::try_from(request.declared().saturating_sub(1)).unwrap_or(u32::MAX);
        let confirmations = match named {
            0 => Confirmations::all(kind),
            channels => Confirmations::named(kind, channels),
        };
        Step::Forward(Expect { learn: Learn::Confirmed(confirmations), ..self.plain() })
    }

    fn go_opaque(&mut self, due: &DueQueue) -> Step {
        if self.opaque {
            return Step::Forward(self.plain());
        }
        if !due.is_empty() {
            return Step::Wait;
        }
        self.opaque = true;
        Step::Forward(self.plain())
    }

    /// `CLIENT REPLY`, which must not reach a link: Redis would stop answering on it.
    fn client_reply(&mut self, request: &Request<'_>, due: &DueQueue, rules: &Rules) -> Step {
        if self.opaque {
            return Step::Forward(self.plain());
        }
        if self.restriction_unsettled(due) {
            return Step::Wait;
        }
        if self.restricted() {
            return Step::Forward(self.plain());
        }
        if self.transaction {
            return self.refused(replies::NOT_IN_TRANSACTION.clone(), rules);
        }
        match self.replies.set(request.arg(2).unwrap_or_default()) {
            Some(true) => self.local(reply::OK.clone()),
            Some(false) => Step::Silence,
            None => self.local(replies::SYNTAX_ERROR.clone()),
        }
    }

    fn quit(&self) -> Step {
        let reply = self.shows_replies().then_some(reply::OK.clone());
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

/// `POST` and `Host:` are what a browser sends when a page makes it speak to Redis.
fn is_cross_protocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
