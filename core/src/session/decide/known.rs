//! Decides on requests of authenticated sessions.

use bytes::Bytes;

use super::blocking::{may_be_late, may_block};
use super::{
    Action, CloseReason, Deciding, Need, clients, compat, connection, listing, login, naming,
    rights,
};
use crate::command::{self, Effect, ServerKind, Spec};
use crate::policy::{self, Denied};
use crate::resp::{Request, is_word, reply};
use crate::session::compat::CompatKey;
use crate::session::decision::Given;
use crate::session::replies::expect::{Expect, Learn, Show};
use crate::session::rules::Rules;

/// Decides on a request for `spec`; `denied` is present if the policy refuses it.
pub(super) fn decide(
    deciding: &mut Deciding<'_>,
    spec: Option<&'static Spec>,
    denied: Option<Denied>,
) -> Action {
    let this = deciding;
    if let Some(Given::Flushed(flushed)) = this.context.known.given {
        return this.local(flushed.clone().err().unwrap_or_else(|| reply::OK.clone()));
    }
    if let Some(denied) = denied {
        let rules = this.context.rules;
        if spec.is_none_or(|spec| rules.rights.may_run(spec))
            && let Some(action) = compat::decide(this, spec, &denied)
        {
            return action;
        }
        let compat = CompatKey::of(this.request, spec).map(CompatKey::path);
        let opened_by = compat.or_else(|| rules.policy.origin_of(denied.rule()).opened_by());
        let keys = rules.keys.of(this.request, spec);
        let error = this.note_refusal(spec, &denied, (opened_by, keys));
        // In a transaction nothing runs behind it, as EXEC fails.
        if starts_debugger(this.request, spec) && !this.in_transaction() {
            let reply = this.state.shows_replies().then_some(error);
            return Action::Finish { reply, reason: CloseReason::DebuggerRefused };
        }
        return refused(this, error);
    }
    let Some(spec) = spec else {
        return rights::decide_unknown(this).unwrap_or_else(|| unknown(this));
    };
    if let Some(action) = rights::decide(this, spec).or_else(|| listing::decide(this, spec)) {
        return action;
    }
    this.change.uses_scripts = uses_script_cache(spec);
    let need = need(this, spec);
    let due = this.context.due;
    let learn = |this: &Deciding<'_>, learn| Action::Forward {
        expect: Expect { learn, ..this.plain() },
        need,
    };
    match spec.effect {
        Effect::None
        | Effect::Fenced
        | Effect::FencedOptions
        | Effect::Script
        | Effect::Late
        | Effect::LateOnOption => Action::Forward { expect: this.plain(), need },
        Effect::Exec => {
            this.change.in_transaction = Some(false);
            this.change.queued_protocol = Some(None);
            learn(this, Learn::Exec(this.state.queued_protocol))
        }
        _ if !spec.arity_holds(this.request.declared()) => wrong_arity(this, spec, need),
        Effect::Multi if this.state.restriction_may_change(due) => Action::AwaitReplies,
        Effect::Multi => {
            if !this.state.restricted() {
                this.change.in_transaction = Some(true);
            }
            learn(this, Learn::Multi)
        }
        Effect::Discard => {
            this.change.in_transaction = Some(false);
            this.change.queued_protocol = Some(None);
            learn(this, Learn::Discard)
        }
        Effect::Watch => {
            this.change.left_on_lease.watches = true;
            learn(this, Learn::Watch)
        }
        Effect::Unwatch => learn(this, Learn::Unwatch),
        Effect::BlocksOnOption if !may_block(this.request) => {
            Action::Forward { expect: this.plain(), need }
        }
        Effect::Blocks | Effect::BlocksOnOption | Effect::Wait => learn(this, Learn::Unblocked),
        Effect::Select => connection::select(this, spec, need),
        Effect::WhoAmI => rights::who_am_i(this, spec),
        Effect::ClientName => naming::client_name(this, spec, need),
        Effect::ClientId => clients::id(this, need),
        Effect::ClientInfo => clients::info(this, spec, need),
        Effect::ClientList => clients::list(this, spec, need),
        Effect::ClientKill => clients::kill(this, need),
        Effect::Tracking => clients::tracking(this, need),
        Effect::Redirection => clients::redirection(this, need),
        Effect::Unblock => clients::unblock(this, spec),
        Effect::Pins => {
            this.change.pins = true;
            Action::Forward { expect: this.plain(), need }
        }
        Effect::Subscribe(kind) => connection::subscribe(this, kind),
        Effect::Unsubscribe(kind) => connection::subscription(this, kind),
        Effect::Streams => connection::stream(this),
        Effect::ClientReply => connection::client_reply(this),
        Effect::Auth => login::auth_again(this),
        Effect::Hello => login::hello(this),
        Effect::Quit if this.state.opaque => Action::Forward { expect: this.plain(), need },
        Effect::Quit => this.quit(),
        Effect::Reset if due.remote() > 0 || this.state.inside_notice => Action::AwaitReplies,
        Effect::Reset => this.reset(),
    }
}

/// Returns whether a client that sends such a request may believe afterwards that the server has a script.
fn uses_script_cache(spec: &Spec) -> bool {
    spec.name.starts_with("eval") || matches!(spec.name, "script|load" | "script|exists")
}

/// Returns whether the request has the next script run in the debugger. A client that ignores the refusal of
/// such a request would run its script to the end.
fn starts_debugger(request: &Request<'_>, spec: Option<&Spec>) -> bool {
    let starts = |word: &[u8]| is_word(word, b"yes") || is_word(word, b"sync");
    spec.is_some_and(|spec| spec.name == "script|debug") && request.arg(2).is_some_and(starts)
}

/// Returns the kind of link that a request for `spec` needs if it is forwarded unchanged.
fn need(this: &Deciding<'_>, spec: &'static Spec) -> Need {
    let (request, context) = (this.request, this.context);
    if !context.known.is_whole {
        return Need::Lease;
    }
    let speaks_hello = context.rules.speaks_hello();
    let may_select = || {
        let databases = context.known.databases;
        let is_known = |number| databases.contain(this.state.identity(), number);
        connection::chosen_database(request).is_some_and(is_known)
    };
    match spec.effect {
        Effect::Script => Need::Script,
        Effect::None => Need::Shared,
        Effect::Fenced => Need::Fenced,
        Effect::FencedOptions if request.declared() > spec.arity.unsigned_abs().into() => {
            Need::Fenced
        }
        Effect::FencedOptions => Need::Shared,
        Effect::LateOnOption if !may_be_late(request) => Need::Fenced,
        // Redis will reject it; if it does not, the damage is limited to a lease.
        _ if !spec.arity_holds(request.declared()) => Need::Lease,
        Effect::Exec | Effect::Discard | Effect::Unwatch => Need::Shared,
        Effect::ClientName if spec.word() != "setinfo" || speaks_hello => Need::Shared,
        Effect::Select if may_select() => Need::Shared,
        Effect::BlocksOnOption if !may_block(request) => Need::Fenced,
        Effect::ClientId | Effect::ClientInfo => Need::Shared,
        Effect::ClientList | Effect::ClientKill => Need::Fenced,
        Effect::Wait => Need::NotedLease,
        _ => Need::Lease,
    }
}

/// Decides on a command that the table does not have.
///
/// If the upstream says that it only reads or writes keys, it shares a link; if it comes from a module, it
/// has a lease until it is answered, because a module may answer late and hold up what is behind it. Any
/// other command may have any effect, so the session keeps a lease.
fn unknown(this: &mut Deciding<'_>) -> Action {
    let (request, rules) = (this.request, this.context.rules);
    let expect = expect_of_unknown(this, request, rules);
    let forward = |expect, need| Action::Forward { expect, need };
    match rules.known_to_server(request).map(|command| command.kind) {
        Some(ServerKind::Plain) if this.context.known.is_whole => {
            return forward(expect, Need::Fenced);
        }
        Some(ServerKind::Plain | ServerKind::Module) => return forward(expect, Need::Lease),
        Some(ServerKind::Stateful | ServerKind::Administrative) | None => {}
    }
    // Client libraries try commands of newer versions, such as `CLIENT MAINT_NOTIFICATIONS`.
    if command::lookup(request.name()).is_some() && !this.in_transaction() {
        return forward(Expect { learn: Learn::Subcommand, ..expect }, Need::Lease);
    }
    this.change.pins = true;
    forward(expect, Need::Lease)
}

/// Decides on a command or subcommand that the upstream does not have. The upstream itself replies to it
/// where Redoubt cannot: on a connection that carries a stream, and before all arguments have arrived,
/// which the error shows.
pub(super) fn lacking(this: &Deciding<'_>) -> Action {
    let (request, rules) = (this.request, this.context.rules);
    if this.state.opaque || !this.context.known.is_whole {
        return this.over_lease();
    }
    let has_container = command::lookup(request.name()).is_some_and(|spec| rules.exists(spec));
    let error = if has_container {
        policy::unknown_subcommand(request.args())
    } else {
        policy::unknown_command(request.args())
    };
    refused(this, error)
}

/// Returns how the reply to a command that the table does not have is handled. The guard may refuse a
/// command that the policy could not recognize, because Redis has it under another name.
fn expect_of_unknown(this: &Deciding<'_>, request: &Request<'_>, rules: &Rules) -> Expect {
    if !rules.guarded || !this.state.shows_replies() {
        return this.plain();
    }
    let error = match command::lookup(request.name()) {
        None => policy::unknown_command(request.args()),
        Some(_) => policy::unknown_subcommand(request.args()),
    };
    Expect { show: Show::Unless(error), learn: Learn::Nothing }
}

/// Decides on a command that does not exist for this client. Inside a transaction, Redis must record
/// the failure.
pub(super) fn refused(this: &Deciding<'_>, error: Bytes) -> Action {
    if this.state.opaque {
        return Action::Finish { reply: None, reason: CloseReason::Unorderable };
    }
    if !this.in_transaction() {
        return this.local(error);
    }
    let show = if this.state.shows_replies() { Show::Instead(error) } else { Show::Nothing };
    Action::Substitute {
        request: this.context.rules.stand_in.no_such_command(),
        expect: Expect { show, learn: Learn::Nothing },
        need: Need::Lease,
    }
}

/// Decides on a command whose effect Redoubt tracks and that has a wrong number of arguments. Redis
/// rejects it itself, and marks the transaction, unless the arguments must not be forwarded.
fn wrong_arity(this: &Deciding<'_>, spec: &'static Spec, need: Need) -> Action {
    match spec.effect {
        Effect::Auth | Effect::Hello | Effect::Quit | Effect::Reset if !this.in_transaction() => {
            this.local(policy::wrong_arity(spec.name))
        }
        _ => Action::Forward { expect: this.plain(), need },
    }
}
