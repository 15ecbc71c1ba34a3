//! Refused commands that are answered all the same, because the operator wants that (`[policy.compat]`).

use super::{Action, Deciding};
use crate::command::Spec;
use crate::session::compat::{Answered, CompatKey};

/// Decides on a refused request for `spec` if it is answered. `None` if it is refused: also where Redis itself
/// would not run it at once, and where its reply could not be put in order.
pub(super) fn decide(this: &mut Deciding<'_>, spec: Option<&'static Spec>) -> Option<Action> {
    let compat = &this.context.rules.compat;
    if !this.context.known.is_whole || this.state.opaque || this.in_transaction() {
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
            CompatKey::NotifyKeyspaceEvents => answer.shown,
        };
        let (parameters, is_new) = (new.names(), !new.is_empty());
        this.answered = Some(Box::new(Answered { key, parameters, succeeded, is_new }));
    }
    Some(this.local(answer.reply))
}
