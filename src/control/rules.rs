//! Derives the rules of sessions from the settings, before anything is known about the upstream.

use std::sync::Arc;

use redoubt_core::auth::Identities;
use redoubt_core::command::{ServerCommands, Version};
use redoubt_core::policy::PolicyError;
use redoubt_core::session::{Parameters, Rules};
use redoubt_core::upstream::{Credentials, Dialect};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Settings;
use crate::control::guard::commands;
use crate::control::identities::IdentityIds;
use crate::control::in_force::{Composer, compat};
use crate::control::parameters::parameters;
use crate::control::server::plan;
use crate::net::upstream_error::UpstreamError;
use crate::tls::{self, TlsError};

/// The reason why there are no rules for the settings.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The block list has a rule that does not compile.
    #[error("policy.blocked")]
    Policy(#[from] PolicyError),
    /// There are more identities than a process can tell apart.
    #[error("too many identities")]
    Identities,
    /// The system provides no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Returns the rules that workers start with: clients log in as `identities`, links with
/// `credentials`.
///
/// # Errors
/// Returns a [`RulesError`].
pub fn rules(
    settings: &Settings,
    identities: Identities,
    credentials: &Credentials,
) -> Result<Arc<Rules>, RulesError> {
    let policy = settings.policy.compile()?;
    let mut ids = IdentityIds::default();
    let known = ids.known(settings).map_err(|_| RulesError::Identities)?;
    let first = plan::first_login(settings, &policy, &known);
    let configured = plan::configured(settings, (known, ids.first_usage(settings)), policy, None);
    let credentials = watch::Sender::new(credentials.clone());
    let mut composer = Composer::new(configured, identities, credentials, first, Vec::new())?;
    Ok(Arc::clone(composer.first().rules.strangers()))
}

/// What the upstream says of itself.
#[derive(Debug)]
pub struct ServerFacts {
    /// Its version; `None` if it reports none.
    pub version: Option<Version>,
    /// How it behaves where Redoubt answers for it.
    pub dialect: Dialect,
    /// The commands that it has; `None` if it does not list them for the configured user.
    pub commands: Option<Arc<ServerCommands>>,
    /// The values of its parameters; `None` if `[policy.compat]` does not need them, or the configured user may
    /// not read them.
    pub parameters: Option<Arc<Parameters>>,
}

/// The reason why the upstream could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The files for TLS cannot be used.
    #[error("upstream.tls")]
    Tls(#[from] TlsError),
    /// The upstream cannot be reached, or rejects the configured user.
    #[error("{0}")]
    Upstream(String),
}

/// Asks the upstream of `settings` what it says of itself, over a connection that is closed afterwards.
///
/// # Errors
/// Returns an [`AskError`].
pub async fn ask_upstream(settings: &Settings) -> Result<ServerFacts, AskError> {
    let tls = settings.upstream.tls.as_ref().map(tls::Client::new).transpose()?.map(Arc::new);
    let target = plan::target(settings, tls);
    let credentials = Credentials {
        user: settings.upstream.user.clone(),
        password: settings.upstream.password.clone(),
    };
    let facts = async {
        let (mut link, greeting) = target.log_in(&credentials).await?;
        let commands = commands(&mut link).await?.map(Arc::new);
        let parameters = match compat(settings).needs_parameters() {
            true => parameters(&mut link).await?.ok().map(Arc::new),
            false => None,
        };
        Ok::<_, UpstreamError>(ServerFacts {
            version: greeting.version,
            dialect: greeting.dialect,
            commands,
            parameters,
        })
    };
    let facts = timeout(target.timeout, facts).await.unwrap_or_else(|_| Err(target.timed_out()));
    facts.map_err(|error| AskError::Upstream(error.chain()))
}

impl ServerFacts {
    /// Returns `rules` as they are once these facts are known.
    pub fn apply_to(&self, rules: &Rules) -> Rules {
        let mut rules = rules.clone();
        (rules.upstream_version, rules.dialect) = (self.version, self.dialect);
        rules.compat.parameters = self.parameters.clone();
        if let Some(commands) = &self.commands {
            rules.policy = rules.policy.where_server_has(commands);
            rules.commands = Some(Arc::clone(commands));
        }
        rules
    }
}
