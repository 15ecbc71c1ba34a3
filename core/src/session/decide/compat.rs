//! Refused commands that are answered all the same, because the operator wants that (`[policy.compat]`).

use super::known::refused;
use super::{Action, Deciding, texts};
use crate::command::Spec;
use crate::policy::Denied;
use crate::session::compat::{Answered, CompatKey, Flush, flush};
use crate::session::rights::NO_DATABASE;

/// Decides on a request for `spec`, which is `denied`, if it is answered. `None` if it is refused: also where
/// Redis itself would not run it at once, and where its reply could not be put in order.
pub(super) fn decide(
    this: &mut Deciding<'_>,
    spec: Option<&'static Spec>,
    denied: &Denied,
) -> Option<Action> {
    let compat = &this.context.rules.compat;
    if !this.context.known.is_whole || this.state.opaque {
        return None;
    }
    if compat.flush && CompatKey::of(this.request, spec) == Some(CompatKey::Flush) {
        return decide_flush(this, spec?, denied);
    }
    if this.in_transaction() {
        return None;
    }
    let answer = compat.answer(this.request, spec, this.state.protocol)?;
    if this.state.restriction_may_change(this.context.due) {
        return Some(Action::AwaitReplies);
    }
    if this.state.restricted() {
        return None;
    }
    if let Some((key, succeeded)) = answer.key {
        let known = this.state.shown_parameters;
        let new = match key {
            CompatKey::ConfigGet => {
                this.change.shown_parameters = answer.shown;
                answer.shown.beyond(known)
            }
            CompatKey::NotifyKeyspaceEvents | CompatKey::Flush => answer.shown,
        };
        let (parameters, is_new) = (new.names(), !new.is_empty());
        this.answered = Some(Box::new(Answered { key, parameters, succeeded, is_new }));
    }
    Some(this.local(answer.reply))
}

/// Decides on `FLUSHDB` or `FLUSHALL`. What the session has written before is deleted too, so all its replies must
/// have come; later requests wait, so that nothing is deleted that they write.
fn decide_flush(this: &mut Deciding<'_>, spec: &'static Spec, denied: &Denied) -> Option<Action> {
    let command = spec.name;
    if this.in_transaction() {
        let origin = this.context.rules.policy.origin_of(denied.rule());
        this.note_refusal(Some(spec), denied, (origin.opened_by(), Vec::new()));
        return Some(refused(this, flush::in_transaction(command)));
    }
    if this.context.due.remote() > 0 {
        return Some(Action::AwaitReplies);
    }
    if this.state.restricted() {
        return None;
    }
    let rights = &this.context.rules.rights;
    let may_flush = match command {
        "flushall" => rights.may_use_all(),
        _ => rights.may_use(this.state.database),
    };
    if !may_flush {
        return Some(refused(this, NO_DATABASE.clone()));
    }
    Some(match Flush::wanted(command, this.request, this.state.database) {
        Some(flush) => Action::AwaitFlush(flush),
        None => this.local(texts::SYNTAX_ERROR.clone()),
    })
}
