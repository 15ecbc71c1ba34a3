//! Derives the rules of sessions from the settings, before anything is known about the upstream.

use std::sync::Arc;

use redoubt_core::auth::Identity;
use redoubt_core::policy::PolicyError;
use redoubt_core::session::Rules;
use redoubt_core::upstream::Credentials;
use tokio::sync::watch;

use crate::config::Settings;
use crate::control::in_force::Composer;
use crate::control::server::plan;

/// The reason why there are no rules for the settings.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The block list has a rule that does not compile.
    #[error("policy.blocked")]
    Policy(#[from] PolicyError),
    /// The system provides no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Returns the rules that workers start with: clients log in as `identity`, links with
/// `credentials`.
///
/// # Errors
/// Returns a [`RulesError`].
pub fn rules(
    settings: &Settings,
    identity: Identity,
    credentials: &Credentials,
) -> Result<Arc<Rules>, RulesError> {
    let policy = settings.policy.compile()?;
    let first = plan::first_login(settings, &policy);
    let configured = plan::configured(settings, policy, None);
    let credentials = watch::Sender::new(credentials.clone());
    let mut composer = Composer::new(configured, identity, credentials, first, Vec::new())?;
    Ok(Arc::clone(&composer.first().rules))
}
