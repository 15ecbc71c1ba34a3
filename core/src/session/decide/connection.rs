//! Commands that change what the connection is: `SELECT`, subscriptions, streams and `CLIENT REPLY`.

use super::known::refused;
use super::{Action, CloseReason, Deciding, Need, rights, texts};
use crate::command::{ChannelKind, Spec};
use crate::resp::{Request, integer, reply};
use crate::session::client_reply::ReplyMode;
use crate::session::replies::expect::{Expect, Learn};
use crate::session::replies::pubsub::Confirmations;

/// Decides on `SELECT`. On a shared link it moves the session to a link of that database. Only Redis
/// knows whether the database exists, so it is asked the first time.
///
/// The server refuses a database that the identity may not use. Redoubt does not rely on that.
pub(super) fn select(this: &mut Deciding<'_>, spec: &'static Spec, need: Need) -> Action {
    let chosen = chosen_database(this.request);
    if chosen.is_some_and(|database| !this.context.rules.rights.may_use(database)) {
        return refused(this, rights::may_not_select(this, spec));
    }
    // Inside a transaction it is unknown when it takes effect, or whether it does.
    this.change.pins |= this.in_transaction();
    match chosen {
        Some(database) if !this.state.leased && need == Need::Shared => {
            this.change.database = Some(database);
            this.local(reply::OK.clone())
        }
        chosen => {
            this.change.left_on_lease.selects = true;
            let learn = match chosen {
                Some(database) if !this.in_transaction() => Learn::Database(database),
                _ => Learn::Nothing,
            };
            Action::Forward { expect: Expect { learn, ..this.plain() }, need }
        }
    }
}

/// Decides on `SUBSCRIBE` and its kind. On a connection that carries a stream the confirmation is not
/// read, so every channel counts as one more until the connection closes.
pub(super) fn subscribe(this: &mut Deciding<'_>, kind: ChannelKind) -> Action {
    let action = subscription(this, kind);
    if action == Action::AwaitReplies || !(this.state.opaque || this.change.opaque) {
        return action;
    }
    let named = named_channels(this);
    this.change.unread_subscriptions = named;
    if this.state.subscriptions().saturating_add(named) > this.context.rules.limits.subscriptions {
        return Action::Finish { reply: None, reason: CloseReason::Subscriptions };
    }
    action
}

/// Decides on a command that begins or ends subscriptions.
pub(super) fn subscription(this: &mut Deciding<'_>, kind: ChannelKind) -> Action {
    if this.in_transaction() {
        return stream(this);
    }
    if this.state.opaque {
        return this.over_lease();
    }
    this.change.left_on_lease.other = true;
    let confirmations = match named_channels(this) {
        0 => Confirmations::all(kind),
        channels => Confirmations::named(kind, channels),
    };
    let expect = Expect { learn: Learn::Confirmed(confirmations), ..this.plain() };
    Action::Forward { expect, need: Need::Lease }
}

fn named_channels(this: &Deciding<'_>) -> u32 {
    u32::try_from(this.request.declared().saturating_sub(1)).unwrap_or(u32::MAX)
}

/// Decides on a command after which the link no longer brings one reply for each request.
pub(super) fn stream(this: &mut Deciding<'_>) -> Action {
    if !this.state.opaque && this.state.replies != ReplyMode::On {
        // The replies that the client does not want could not be told from the stream.
        return Action::Finish { reply: None, reason: CloseReason::Unorderable };
    }
    if !this.state.opaque && !this.context.due.is_empty() {
        return Action::AwaitReplies;
    }
    this.change.opaque = true;
    this.over_lease()
}

/// Decides on `CLIENT REPLY`, which must not reach a link: Redis would stop answering on it.
pub(super) fn client_reply(this: &mut Deciding<'_>) -> Action {
    if this.state.opaque {
        return this.over_lease();
    }
    if this.state.restriction_may_change(this.context.due) {
        return Action::AwaitReplies;
    }
    if this.state.restricted() {
        return this.over_lease();
    }
    if this.in_transaction() {
        // The mode would change in the middle of EXEC's reply.
        return stream(this);
    }
    let mut replies = this.state.replies;
    let answer = replies.set(this.request.arg(2).unwrap_or_default());
    this.change.replies = Some(replies);
    match answer {
        Some(true) if replies.visible() => Action::Reply(reply::OK.clone()),
        Some(_) => Action::Silence,
        None => this.local(texts::SYNTAX_ERROR.clone()),
    }
}

/// Returns the database that a well-formed `SELECT` selects.
pub(super) fn chosen_database(request: &Request<'_>) -> Option<u32> {
    let argument = request.arg(1).filter(|_| request.declared() == 2)?;
    u32::try_from(integer::parse(argument)?).ok()
}
