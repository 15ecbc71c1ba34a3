//! What holds for sessions, as the settings say, before anything is known of the upstream.

use redoubt_core::auth::Identity;
use redoubt_core::policy::{Policy, PolicyError};
use redoubt_core::session::{ClientIds, KeyForm, Rules};
use redoubt_core::upstream::Credentials;

use crate::config::{AuditKeys, AuditOutput, GuardMode, Settings};
use crate::control::{guard, limits, secrets};

/// Why the settings come to no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The block list has a rule that cannot be compiled.
    #[error("policy.blocked")]
    Policy(#[from] PolicyError),
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

/// The rules that workers start with: clients log in as `identity` says, and links with `credentials`.
///
/// # Errors
/// [`RulesError`]
pub fn rules(
    settings: &Settings,
    identity: Identity,
    credentials: &Credentials,
) -> Result<Rules, RulesError> {
    let policy = settings.policy.compile()?;
    let stand_in = secrets::stand_in(credentials)?;
    let is_wanted = guard::is_wanted(settings.policy.guard, &policy);
    Ok(Rules {
        guarded: is_guarded(settings, &policy),
        policy,
        scripts: settings.policy.gate(),
        known_only: false,
        identity,
        stand_in: if is_wanted { stand_in.letting_nobody_in() } else { stand_in },
        upstream_version: None,
        auth_attempts: settings.limits.auth_attempts,
        keys: keys(settings),
        limits: limits::limits(&settings.limits),
        client_ids: ClientIds::default(),
    })
}

/// Whether links log in as the guard, if one can be made.
pub(super) fn is_guarded(settings: &Settings, policy: &Policy) -> bool {
    // What is asked before it is known waits, and then goes to the guard if there is one.
    guard::is_wanted(settings.policy.guard, policy) && settings.policy.guard != GuardMode::Audit
}

/// How keys of refused commands are reported.
pub(super) fn keys(settings: &Settings) -> KeyForm {
    match settings.audit.keys {
        _ if settings.audit.output == AuditOutput::Off => KeyForm::None,
        AuditKeys::None => KeyForm::None,
        AuditKeys::Hashed => KeyForm::Hashed,
        AuditKeys::Plain => KeyForm::Plain,
    }
}
