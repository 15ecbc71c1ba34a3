//! Requests of a session that may reach upstream.

use bytes::Bytes;

use super::blocking::may_block;
use super::decide::{Context, Step};
use super::due::DueQueue;
use super::event::{CloseReason, Event};
use super::expect::{Expect, Learn, Show};
use super::need::{Need, chosen_database};
use super::pubsub::Confirmations;
use super::replies;
use super::rules::Rules;
use super::state::State;
use crate::command::{self, ChannelKind, Effect, Spec};
use crate::policy::{self, Decision, RuleName};
use crate::resp::{Request, reply};

/// What the rule is called that refuses what may be a refused command under another name.
const RENAMED: RuleName = RuleName::Known("renamed");

impl State {
    pub(super) fn decide_known(
        &mut self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
        context: Context<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Step {
        let Context { rules, due, need } = context;
        if let Decision::Deny(denied) = rules.policy.decide(spec, request.name(), request.arg(1)) {
            let keys = rules.keys.of(request, spec);
            emit(Event::Refused { rule: denied.rule().clone(), keys });
            return self.refused(denied.reply(request.args()), rules);
        }
        if !rules.scripts.are_open()
            && let Some(step) = self.gate(request, spec, rules, emit)
        {
            return step;
        }
        let pass = |expect| Step::Forward { expect, need };
        let learn = |this: &Self, learn| pass(Expect { learn, ..this.plain() });
        let Some(spec) = spec else {
            if rules.known_only && command::lookup(request.name()).is_none() {
                emit(Event::Refused { rule: RENAMED, keys: Vec::new() });
                return self.refused(policy::unknown_command(request.args()), rules);
            }
            let expect = self.stranger(request, rules);
            // Client libraries try what newer versions have, such as `CLIENT MAINT_NOTIFICATIONS`.
            if command::lookup(request.name()).is_some() && !self.transaction.believed {
                return pass(Expect { learn: Learn::Subcommand, ..expect });
            }
            self.pinned = true;
            return pass(expect);
        };
        match spec.effect {
            Effect::None | Effect::Fenced | Effect::FencedOptions | Effect::Script => {
                pass(self.plain())
            }
            Effect::Exec => {
                self.transaction.believed = false;
                let protocol = self.queued_protocol.take();
                learn(self, Learn::Exec(protocol))
            }
            _ if !spec.arity_holds(request.declared()) => self.wrong_arity(spec, need),
            Effect::Multi if self.restriction_unsettled(due) => Step::Wait,
            Effect::Multi => {
                self.transaction.believed |= !self.restricted();
                learn(self, Learn::Multi)
            }
            Effect::Discard => {
                self.transaction.believed = false;
                self.queued_protocol = None;
                learn(self, Learn::Discard)
            }
            Effect::Watch => {
                self.left_on_lease.watches = true;
                learn(self, Learn::Watch)
            }
            Effect::Unwatch => learn(self, Learn::Unwatch),
            Effect::BlocksOnOption if !may_block(request) => pass(self.plain()),
            Effect::Blocks | Effect::BlocksOnOption | Effect::Wait => learn(self, Learn::Unblocked),
            Effect::Select => self.select(request, need),
            Effect::ClientName => self.client_name(request, spec, context),
            Effect::Pins => {
                if spec.name == "client|tracking"
                    && let Some(error) = rules.client_ids.refuse(request)
                {
                    return self.refused(error, rules);
                }
                self.pinned = true;
                match spec.name {
                    "client|id" => learn(self, Learn::Id),
                    _ => pass(self.plain()),
                }
            }
            Effect::Subscribe(kind) => {
                let step = self.subscription(request, kind, due);
                self.count_unread(request, step, rules)
            }
            Effect::Unsubscribe(kind) => self.subscription(request, kind, due),
            Effect::Streams => self.go_opaque(due),
            Effect::ClientReply => self.client_reply(request, due),
            Effect::Auth => self.auth_again(request, due, rules, emit),
            Effect::Hello => self.hello(request, context, emit),
            Effect::Quit if self.opaque => pass(self.plain()),
            Effect::Quit => self.quit(),
            Effect::Reset if due.remote() > 0 || self.inside_notice => Step::Wait,
            Effect::Reset => self.let_go(),
        }
    }

    /// What becomes of a script or function that may not run; `None` for all other requests.
    fn gate(
        &self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
        rules: &Rules,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Step> {
        if rules.scripts.need_more(spec, request) {
            return Some(Step::Finish { reply: None, reason: CloseReason::TooLarge });
        }
        let Decision::Deny(denied) = rules.scripts.decide(spec, request) else { return None };
        let keys = rules.keys.of(request, spec);
        emit(Event::Refused { rule: denied.rule().clone(), keys });
        Some(self.refused(denied.reply(request.args()), rules))
    }

    /// What is expected of a command that the table does not know. The guard may refuse what the
    /// policy could not name, as a command that Redis has under another name.
    fn stranger(&self, request: &Request<'_>, rules: &Rules) -> Expect {
        if !rules.guarded || !self.shows_replies() {
            return self.plain();
        }
        let error = match command::lookup(request.name()) {
            None => policy::unknown_command(request.args()),
            Some(_) => policy::unknown_subcommand(request.args()),
        };
        Expect { show: Show::Unless(error), learn: Learn::Nothing }
    }

    /// A command that does not exist for this client. Inside a transaction Redis must mark the failure.
    fn refused(&self, error: Bytes, rules: &Rules) -> Step {
        if self.opaque {
            return Step::Finish { reply: None, reason: CloseReason::Unorderable };
        }
        if !self.transaction.believed {
            return self.local(error);
        }
        let show = if self.shows_replies() { Show::Instead(error) } else { Show::Nothing };
        Step::Substitute {
            request: rules.stand_in.no_such_command(),
            expect: Expect { show, learn: Learn::Nothing },
            need: Need::Lease,
        }
    }

    /// A wrong number of arguments for a command whose effect Redoubt tracks: Redis says so itself,
    /// and marks the transaction, unless the words must not travel.
    fn wrong_arity(&self, spec: &'static Spec, need: Need) -> Step {
        match spec.effect {
            Effect::Auth | Effect::Hello | Effect::Quit | Effect::Reset
                if !self.transaction.believed =>
            {
                self.local(policy::wrong_arity(spec))
            }
            _ => Step::Forward { expect: self.plain(), need },
        }
    }

    /// `SELECT`. On a shared link it moves the session to the link of that database; whether there
    /// is such a database only Redis knows, the first time.
    fn select(&mut self, request: &Request<'_>, need: Need) -> Step {
        let chosen = chosen_database(request);
        // Inside a transaction it is unsure when, and whether, it takes effect.
        self.pinned |= self.transaction.believed;
        match chosen {
            Some(database) if !self.leased && need == Need::Shared => {
                self.database = database;
                self.local(reply::OK.clone())
            }
            chosen => {
                self.left_on_lease.selects = true;
                let learn = match chosen {
                    Some(database) if !self.transaction.believed => Learn::Database(database),
                    _ => Learn::Nothing,
                };
                Step::Forward { expect: Expect { learn, ..self.plain() }, need }
            }
        }
    }

    fn subscription(&mut self, request: &Request<'_>, kind: ChannelKind, due: &DueQueue) -> Step {
        if self.transaction.believed {
            return self.go_opaque(due);
        }
        if self.opaque {
            return Step::Forward { expect: self.plain(), need: Need::Lease };
        }
        self.left_on_lease.other = true;
        let named = u32::try_from(request.declared().saturating_sub(1)).unwrap_or(u32::MAX);
        let confirmations = match named {
            0 => Confirmations::all(kind),
            channels => Confirmations::named(kind, channels),
        };
        let expect = Expect { learn: Learn::Confirmed(confirmations), ..self.plain() };
        Step::Forward { expect, need: Need::Lease }
    }

    /// Counts what a `SUBSCRIBE` asks for on a connection that carries a stream. Its confirmation
    /// will not be read, so every channel counts as one more, and for good.
    fn count_unread(&mut self, request: &Request<'_>, step: Step, rules: &Rules) -> Step {
        if !self.opaque || step == Step::Wait {
            return step;
        }
        let named = u32::try_from(request.declared().saturating_sub(1)).unwrap_or(u32::MAX);
        self.unread_subscriptions = self.unread_subscriptions.saturating_add(named);
        if self.subscriptions() > rules.limits.subscriptions {
            return Step::Finish { reply: None, reason: CloseReason::Subscriptions };
        }
        step
    }

    /// From here on what the link brings is not one reply for one request.
    fn go_opaque(&mut self, due: &DueQueue) -> Step {
        if !self.opaque && !due.is_empty() {
            return Step::Wait;
        }
        self.opaque = true;
        Step::Forward { expect: self.plain(), need: Need::Lease }
    }

    /// `CLIENT REPLY`, which must not reach a link: Redis would stop answering on it.
    fn client_reply(&mut self, request: &Request<'_>, due: &DueQueue) -> Step {
        let forward = Step::Forward { expect: self.plain(), need: Need::Lease };
        if self.opaque {
            return forward;
        }
        if self.restriction_unsettled(due) {
            return Step::Wait;
        }
        if self.restricted() {
            return forward;
        }
        if self.transaction.believed {
            // It takes effect in the middle of EXEC's reply.
            return self.go_opaque(due);
        }
        match self.replies.set(request.arg(2).unwrap_or_default()) {
            Some(true) => self.local(reply::OK.clone()),
            Some(false) => Step::Silence,
            None => self.local(replies::SYNTAX_ERROR.clone()),
        }
    }
}
