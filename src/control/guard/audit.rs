//! Audits the configured user where there is no guard.

use super::Outcome;
use super::questions::rights_of;
use super::trial::{dry_run, open, queue};
use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::auth::DEFAULT_USER;
use redoubt_core::command::{ServerCommands, Version};
use redoubt_core::policy::{Policy, RuleName};
use redoubt_core::upstream::guard::{Probe, Rights, Verdict, advice, is_typed, renamed};

/// The user that is audited, and the policy to audit for.
pub(super) struct Audited<'a> {
    pub(super) user: Option<&'a str>,
    /// `true` if the connection is logged in as that user.
    pub(super) is_own: bool,
    pub(super) policy: &'a Policy,
    /// The commands that the server has; `None` if it does not list them for this user.
    pub(super) commands: Option<&'a ServerCommands>,
    pub(super) version: Option<Version>,
}

/// Tests what a script could call as a user.
///
/// # Errors
/// The connection broke; or it is another user's, who may not ask about this one.
pub(super) async fn audit(
    link: &mut Conversation,
    probes: Vec<Probe>,
    of: Audited<'_>,
    reason: Option<String>,
) -> Result<Outcome, UpstreamError> {
    let Audited { user, is_own, policy, commands, version } = of;
    let name = user.unwrap_or(DEFAULT_USER).as_bytes();
    let rights = match rights_of(link, name).await {
        Ok(rights) => Some(rights),
        Err(UpstreamError::Guard(error)) if error.is_answer() => None,
        Err(error) => return Err(error),
    };
    let mut verdicts = match dry_run(link, name, &probes).await {
        Err(UpstreamError::Guard(error)) if is_own && error.is_answer() => {
            match queue(link, &probes).await {
                Err(UpstreamError::Guard(error)) if error.is_answer() => {
                    vec![Verdict::Allowed; probes.len()]
                }
                verdicts => verdicts?,
            }
        }
        verdicts => verdicts?,
    };
    let takes = |rule: &str| rights.as_ref().is_some_and(|rights| rights.take_away(rule));
    for (verdict, probe) in verdicts.iter_mut().zip(&probes) {
        // The user's rules say what a refusal of the placeholders hides.
        if *verdict == Verdict::Unclear && !probe.rule.contains('|') && takes(&probe.rule) {
            *verdict = Verdict::Refused;
        }
    }
    let mut open = open(&probes, &verdicts);
    let renamed = renamed_commands(policy, commands, rights.as_ref());
    let has_renamed = !renamed.is_empty();
    open.extend(renamed);
    if open.is_empty() {
        return Ok(Outcome::Audited);
    }
    // A rule for a command that the table does not have applies only if Redis has the command.
    let exists = |rule: &RuleName| {
        let mut tried = probes.iter().zip(&verdicts);
        tried.any(|(probe, verdict)| probe.rule == *rule && *verdict != Verdict::Missing)
    };
    let mut rules: Vec<_> = policy.rules().collect();
    // Without CONFIG, it will not be known that the server checks payloads.
    let takes_config = rules.iter().any(|rule| matches!(&**rule, "config" | "config|get"));
    rules.extend(policy.unless_payloads_are_checked().filter(|_| takes_config));
    let rules = rules.iter().filter(|rule| is_typed(rule, version).unwrap_or(exists(rule)));
    let rules: Vec<&str> = rules.map(|rule| &**rule).collect();
    let advice = advice(user, rights.as_ref(), &rules);
    Ok(Outcome::Unguarded { reason, open, has_renamed, advice })
}

/// Returns the refused commands that the configured user may run under another name, as far as `rights`
/// show it. If the server does not report names, any command may have another name.
fn renamed_commands(
    policy: &Policy,
    commands: Option<&ServerCommands>,
    rights: Option<&Rights>,
) -> Vec<String> {
    let Some(renamed) = renamed(policy, commands) else {
        return vec!["any command that may have another name".to_owned()];
    };
    let may_run = |name: &&str| rights.is_none_or(|rights| !rights.take_away(name));
    let open = renamed.into_iter().filter(may_run);
    open.map(|name| format!("{name} (under another name)")).collect()
}
