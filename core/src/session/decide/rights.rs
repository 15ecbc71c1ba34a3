//! The rights of the session's identity, where Redoubt answers in Redis's place or Redis has no rule.

use bytes::Bytes;

use super::known::refused;
use super::{Action, Deciding, Need, in_place_of, texts};
use crate::auth::DEFAULT_USER;
use crate::command::{self, Effect, Spec};
use crate::policy;
use crate::resp::reply::{self, Value};
use crate::session::replies::expect::{Expect, Learn, Show};
use crate::session::rights::{NO_DATABASE, may_not_run};
use crate::session::stand_in::encode;

/// Commands that Redoubt answers, or sends others in the place of.
///
/// `AUTH`, `HELLO`, `QUIT` and `RESET` are not among them, as Redis asks for no right to run these; nor is
/// `SELECT`, which is answered only for a database that the server has let the identity select before.
const ANSWERED: [&str; 19] = [
    "acl|whoami",
    "client|getname",
    "client|id",
    "client|info",
    "client|kill",
    "client|list",
    "client|reply",
    "client|setinfo",
    "client|setname",
    "client|tracking",
    "command",
    "command|count",
    "command|docs",
    "command|info",
    "command|list",
    "config|get",
    "config|set",
    "flushall",
    "flushdb",
];

/// Returns the commands and subcommands that Redoubt answers in Redis's place, or sends others in the place of,
/// in some state of a session and with some configuration.
///
/// Of these, [`Rights::without`](crate::session::Rights::without) has to be told which an identity may not run: by
/// the identity's own rules, before what the policy refuses is taken away from them.
pub fn answered() -> impl Iterator<Item = &'static Spec> {
    ANSWERED.into_iter().filter_map(|name| command::lookup_whole(name.as_bytes()))
}

/// Decides on a request for `spec` that the identity has no right to; `None` if it has the right, as far as
/// Redoubt has to know. As in Redis, a wrong number of arguments is reported first.
pub(super) fn decide(this: &Deciding<'_>, spec: &'static Spec) -> Option<Action> {
    let rules = this.context.rules;
    let fits = spec.arity_holds(this.request.declared());
    if fits && rules.exists(spec) && !rules.rights.may_run(spec) {
        return Some(refused(this, may_not(this, spec)));
    }
    if rules.rights.may_use(this.state.database) || needs_no_database(spec) {
        return None;
    }
    // A `SELECT` may be pending.
    if this.context.due.remote() > 0 {
        return Some(Action::AwaitReplies);
    }
    let error = if fits { NO_DATABASE.clone() } else { policy::wrong_arity(spec.name) };
    Some(refused(this, in_place_of(spec, error)))
}

/// Decides on a request for a command that the table does not have, in a database that the identity may not use;
/// `None` if it may use that.
pub(super) fn decide_unknown(this: &Deciding<'_>) -> Option<Action> {
    if this.context.rules.rights.may_use(this.state.database) {
        return None;
    }
    if this.context.due.remote() > 0 {
        return Some(Action::AwaitReplies);
    }
    Some(refused(this, NO_DATABASE.clone()))
}

/// Returns the error for a `SELECT` of a database that the identity may not use, in the server's words.
pub(super) fn may_not_select(this: &Deciding<'_>, spec: &'static Spec) -> Bytes {
    match this.context.rules.dialect.has_database_rights {
        true => NO_DATABASE.clone(),
        false => may_not(this, spec),
    }
}

/// Decides on `ACL WHOAMI`: clients know themselves by the names of their identities, and not by the user that
/// links are logged in as. Inside a transaction, `ECHO` takes its place.
pub(super) fn who_am_i(this: &Deciding<'_>, spec: &'static Spec) -> Action {
    let name = user(this).as_bytes();
    if this.state.opaque || this.in_transaction() {
        let show = match this.state.shows_replies() {
            true => Show::Unless(may_not(this, spec)),
            false => Show::Nothing,
        };
        return Action::Substitute {
            request: encode(&[b"ECHO", name]),
            expect: Expect { show, learn: Learn::Nothing },
            need: Need::Lease,
        };
    }
    if this.state.restriction_may_change(this.context.due) {
        return Action::AwaitReplies;
    }
    if this.state.restricted() {
        return this.local(texts::not_while_subscribed(spec));
    }
    this.local(reply::compose(&Value::Bulk(name), this.state.protocol))
}

fn may_not(this: &Deciding<'_>, spec: &'static Spec) -> Bytes {
    may_not_run(spec, user(this), this.context.rules.dialect)
}

/// Returns the name that the client has logged in with.
fn user<'a>(this: &Deciding<'a>) -> &'a str {
    this.state.user().map_or(DEFAULT_USER, |user| user)
}

/// Returns true if the command reads and changes no key, also not by a script or in a transaction. Valkey 9.1
/// runs all of these in a database that the user may not use.
fn needs_no_database(spec: &Spec) -> bool {
    match spec.effect {
        Effect::Auth
        | Effect::Hello
        | Effect::Quit
        | Effect::Reset
        | Effect::Select
        | Effect::Discard
        | Effect::Unwatch
        | Effect::Subscribe(_)
        | Effect::Unsubscribe(_)
        | Effect::ClientReply
        | Effect::ClientName
        | Effect::ClientId
        | Effect::ClientInfo
        | Effect::ClientList
        | Effect::ClientKill
        | Effect::WhoAmI
        | Effect::Tracking
        | Effect::Redirection
        | Effect::Unblock => true,
        Effect::None
        | Effect::Fenced
        | Effect::FencedOptions
        | Effect::Pins
        | Effect::Multi
        | Effect::Exec
        | Effect::Watch
        | Effect::Blocks
        | Effect::BlocksOnOption
        | Effect::Wait
        | Effect::Script
        | Effect::Late
        | Effect::LateOnOption
        | Effect::Streams => {
            matches!(spec.command(), "client" | "command" | "pubsub")
                || matches!(spec.name, "echo" | "info" | "ping" | "publish" | "spublish" | "time")
        }
    }
}
