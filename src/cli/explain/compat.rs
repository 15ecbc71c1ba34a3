//! Describes what `[policy.compat]` does with a refused command.

use redoubt::config::Settings;
use redoubt_core::session::{Action, CompatKey, Decision, Flush, Rules};

use super::verdict::Verdict;

/// Changes the verdict on a request of an authenticated client that `key` is about. `is_asked` is true if the
/// upstream has been asked for its values.
pub(super) fn amend(
    verdict: &mut Verdict,
    decision: &Decision,
    key: CompatKey,
    (settings, rules, is_asked): (&Settings, &Rules, bool),
) {
    let name = key.path();
    if key == CompatKey::Flush {
        return amend_flush(verdict, decision, settings);
    }
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
            allowed: Some(true),
            layer: None,
            identity: None,
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

/// The same for `FLUSHDB` and `FLUSHALL`.
fn amend_flush(verdict: &mut Verdict, decision: &Decision, settings: &Settings) {
    let action = match decision {
        Decision::Special(special) => Some(&special.action),
        Decision::Plain => None,
    };
    match (&settings.compat.flush, action) {
        (Some(flush), Some(Action::AwaitFlush(wanted))) => {
            let place = match wanted {
                Flush::Database(_) => "the session's database",
                Flush::All => "all databases",
            };
            verdict.why = format!(
                "policy.compat.flush: Redoubt deletes the keys that begin with {:?}, in {place}",
                flush.prefix
            );
        }
        (None, _) if verdict.rule.is_some() => {
            verdict.why +=
                "; policy.compat.flush would have it delete the keys below a prefix, and no others";
        }
        _ => {}
    }
}
