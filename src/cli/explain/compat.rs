//! Describes what `[policy.compat]` does with a refused command.

use redoubt_core::session::{CompatKey, Decision, Rules};

use super::verdict::Verdict;

/// Changes the verdict on a request of an authenticated client that `key` is about. `is_asked` is true if the
/// upstream has been asked for its values.
pub(super) fn amend(
    verdict: &mut Verdict,
    decision: &Decision,
    key: CompatKey,
    (rules, is_asked): (&Rules, bool),
) {
    let name = key.path();
    if matches!(decision, Decision::Special(special) if special.answered.is_some()) {
        verdict.why = format!("{name} = true: Redoubt answers it with what it has read from Redis");
    } else if verdict.rule.is_none() {
        // Nothing refuses it.
    } else if !rules.compat.has(key) {
        verdict.why += &format!("; {name} = true would have it answered by Redoubt");
    } else if rules.compat.parameters.is_none() && is_asked {
        verdict.why += &format!(
            "; {name} is true, but the user of upstream.user cannot read the parameters of Redis"
        );
    } else if rules.compat.parameters.is_none() {
        *verdict = Verdict {
            allowed: true,
            rule: None,
            source: None,
            opened_by: None,
            why: format!(
                "{name} = true: Redoubt answers it with what it reads from Redis (--upstream shows the answer)"
            ),
            reply: None,
            connection: "answered by Redoubt; nothing goes to Redis".to_owned(),
            command: verdict.command,
            keys: None,
            scripts: None,
        };
    }
}
