//! The rights that the guards of identities get, as far as the configuration alone determines them.

use super::identities::only_in;
use crate::config::{GuardMode, IdentitySettings, Settings};
use redoubt_core::policy::PolicyError;
use redoubt_core::upstream::guard::Rights;

/// What the links of an identity may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectiveRule {
    /// The guard has rights of these words. Words that name a command which the server does not have are left out
    /// there.
    Guard {
        /// Where the server has no rights to databases, or the identity may use all.
        words: String,
        /// Where the server limits users to databases; `None` if the identity may use all.
        with_databases: Option<String>,
    },
    /// Redoubt makes no guard, so Redis applies the rights of `upstream_user`.
    UpstreamUser(String),
    /// There is neither a guard nor a user of the operator's, so sessions are refused.
    NoUser,
}

/// Returns the rule of each identity, in the order of [`Settings::identities`].
///
/// # Errors
/// The block list has a rule that does not compile.
pub fn effective_rules(settings: &Settings) -> Result<Vec<EffectiveRule>, PolicyError> {
    let rules: Vec<_> = settings.policy.compile()?.rules().collect();
    let rules: Vec<&str> = rules.iter().map(|rule| &**rule).collect();
    let has_guards = matches!(settings.policy.guard, GuardMode::Auto | GuardMode::Require);
    let rule = |identity: &IdentitySettings| match &identity.upstream {
        _ if has_guards => of_guard(identity, &rules),
        Some(account) if identity.databases.is_none() => {
            EffectiveRule::UpstreamUser(account.user.clone())
        }
        _ => EffectiveRule::NoUser,
    };
    Ok(settings.identities.iter().map(rule).collect())
}

fn of_guard(identity: &IdentitySettings, rules: &[&str]) -> EffectiveRule {
    let rights = Rights::of_rules(&identity.acl);
    let text = |rights: &Rights| {
        let words = rights.without(rules);
        String::from_utf8_lossy(&words.join(b" ".as_slice())).into_owned()
    };
    match identity.databases.as_deref() {
        None => EffectiveRule::Guard { words: text(&rights), with_databases: None },
        Some(databases) => EffectiveRule::Guard {
            words: text(&only_in(&rights, databases, false, true)),
            with_databases: Some(text(&only_in(&rights, databases, true, false))),
        },
    }
}
