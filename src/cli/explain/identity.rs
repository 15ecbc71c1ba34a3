//! Describes what an identity with rights of its own may do with a command.

use std::borrow::Cow;

use redoubt::config::{IdentityMode, IdentitySettings, Settings};
use redoubt::control::DryRun;
use redoubt_core::auth::DEFAULT_USER;
use redoubt_core::command::Spec;
use redoubt_core::session::{Action, Decision, answered};

use super::ExplainError;
use super::verdict::Verdict;

/// Checks that clients can be called `name`.
pub(super) fn exists(settings: &Settings, name: &str) -> Result<(), ExplainError> {
    let client = settings.client.iter();
    let client = client.map(|client| client.user.as_deref().unwrap_or(DEFAULT_USER));
    let others = settings.identities.iter().map(|identity| identity.name.as_str());
    let all: Vec<_> = client.chain(others).collect();
    if all.contains(&name) {
        return Ok(());
    }
    let known = format!("there are {}", all.join(", "));
    Err(ExplainError::NoIdentity { name: name.to_owned(), known })
}

/// Returns whether Redis decides about the request, as policy does not refuse it.
pub(super) fn is_open(
    verdict: &Verdict,
    decision: &Decision,
    spec: Option<&Spec>,
    identity: &IdentitySettings,
) -> bool {
    if !identity.is_on || verdict.allowed == Some(false) {
        return false;
    }
    let action = match decision {
        Decision::Plain => return true,
        Decision::Special(special) => &special.action,
    };
    let is_own = matches!(
        action,
        Action::Reply(_) | Action::Silence | Action::Finish { .. } | Action::Reset { .. }
    );
    // Redis asks for no right to run AUTH, HELLO, QUIT and RESET; for what else Redoubt answers, it knows the
    // identity's rights from Redis.
    !is_own || spec.is_some_and(|spec| answered().any(|other| other.name == spec.name))
}

/// Adds what Redis answered; `None` if it was not asked.
pub(super) fn amend(verdict: &mut Verdict, identity: &IdentitySettings, answer: Option<DryRun>) {
    let observes = identity.mode == IdentityMode::Observe;
    let table = format!("identities.{}", identity.name);
    let acl = &identity.acl;
    let allowed = |allowed: bool, why: String| (Some(allowed), None, why);
    let refused = |key: &str, why: String| (Some(false), Some(format!("{table}.{key}")), why);
    let (allowed, source, why) = match answer {
        None if observes => allowed(
            true,
            format!(
                "{table}.mode = \"observe\": policy does not refuse it, so it is served; it is recorded if \
                 {table}.acl refuses it, which Redis decides: {acl}; --upstream asks Redis"
            ),
        ),
        None => {
            let databases = match &identity.databases {
                Some(databases) => format!(", and databases = {databases:?}"),
                None => String::new(),
            };
            (
                None,
                None,
                format!(
                    "policy does not refuse it, so Redis decides by {table}.acl: {acl}{databases}; \
                     --upstream asks Redis"
                ),
            )
        }
        Some(DryRun::Allowed) => {
            allowed(true, format!("{table}.acl allows it, as Redis says: {acl}"))
        }
        Some(DryRun::Acl(words)) if observes => allowed(
            true,
            format!(
                "{table}.mode = \"observe\": it is served and recorded; {table}.acl would refuse it: {words}"
            ),
        ),
        Some(DryRun::Acl(words)) => refused("acl", format!("Redis refuses it: {words}")),
        Some(DryRun::Databases(words)) => {
            refused("databases", format!("it reaches other databases: {words}"))
        }
        Some(DryRun::Fails(words)) => allowed(false, format!("Redis answers: {words}")),
        Some(DryRun::Unknown(why)) => {
            (None, None, format!("Redis cannot be asked what {table}.acl allows: {why}"))
        }
        Some(DryRun::NoUser) => allowed(
            false,
            format!(
                "sessions of this identity are refused: policy.guard has Redoubt make no guard, and \
                 {table}.upstream_user cannot take its place"
            ),
        ),
    };
    verdict.allowed = allowed;
    verdict.why = why;
    set_source(verdict, source);
    if allowed == Some(false) {
        // Redis answers, or nobody.
        (verdict.reply, verdict.keys, verdict.scripts) = (None, None, None);
    }
}

/// Adds why Redoubt refuses it, if that is because of the identity.
pub(super) fn amend_refused(verdict: &mut Verdict, identity: &IdentitySettings) {
    let table = format!("identities.{}", identity.name);
    if !identity.is_on {
        verdict.allowed = Some(false);
        verdict.why = "nobody can log in: acl_file switches this user off".to_owned();
        verdict.rule = None;
        verdict.opened_by = None;
        (verdict.reply, verdict.keys, verdict.scripts) = (None, None, None);
        verdict.connection = "none".to_owned();
        set_source(verdict, Some(format!("{table}.acl_file")));
    } else if verdict.reply.as_ref().is_some_and(|reply| reply.starts_with(b"-NOPERM")) {
        verdict.why = format!(
            "{table}.databases = {:?}",
            identity.databases.iter().flatten().collect::<Vec<_>>()
        );
        set_source(verdict, Some(format!("{table}.databases")));
    }
}

/// Sets the key that refuses the command.
fn set_source(verdict: &mut Verdict, source: Option<String>) {
    let Some(source) = source else { return };
    verdict.layer = Some("acl");
    verdict.rule = verdict.command.map(str::to_owned);
    verdict.source = Some(Cow::Owned(source));
}
