//! Derives the rules of sessions from the settings, before anything is known about the upstream.
//!
//! What the upstream allows an identity is asked by [`dry_run`](super::dry_run).

use std::sync::Arc;

use redoubt_core::auth::{Identities, Identity, IdentityId};
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
use crate::net::upstream::Target;
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
    /// The settings have no identity of this name.
    #[error("no identity is called {0:?}")]
    NoIdentity(String),
    /// The system provides no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Returns the rules that workers start with for sessions of `client`, which is the only one to log in; links log in
/// with `credentials`. With the `name` of one of `settings.identities`, the rules are those of that identity; without,
/// those of `[client]`.
///
/// # Errors
/// Returns a [`RulesError`].
pub fn rules(
    settings: &Settings,
    client: Identity,
    credentials: &Credentials,
    name: Option<&str>,
) -> Result<Arc<Rules>, RulesError> {
    let policy = settings.policy.compile()?;
    let mut ids = IdentityIds::default();
    let known = ids.known(settings).map_err(|_| RulesError::Identities)?;
    let id = match name {
        None => IdentityId::FIRST,
        Some(name) => {
            let identity = known.iter().find(|identity| identity.settings.name == name);
            identity.ok_or_else(|| RulesError::NoIdentity(name.to_owned()))?.id
        }
    };
    let identities = Identities::new([(id, client)]);
    let first = plan::first_login(settings, &policy, &known);
    let configured = plan::configured(settings, (known, ids.first_usage(settings)), policy, None);
    let credentials = watch::Sender::new(credentials.clone());
    let mut composer = Composer::new(configured, identities, credentials, first, Vec::new())?;
    Ok(Arc::clone(composer.first().rules.of(id)))
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
    let (target, credentials) = upstream(settings).await?;
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

/// Returns the upstream, and how the configured user logs in. Of several servers, it is the primary.
pub(super) async fn upstream(settings: &Settings) -> Result<(Target, Credentials), AskError> {
    let upstream = &settings.upstream;
    let (redis, sentinel) = (upstream.tls.as_ref(), upstream.sentinel.tls.as_ref());
    let client = redis.or(sentinel).map(tls::Client::new).transpose()?.map(Arc::new);
    let credentials =
        Credentials { user: upstream.user.clone(), password: upstream.password.clone() };
    let mut target = plan::target(settings, client.clone().filter(|_| redis.is_some()));
    if target.node.is_none() {
        let finder = Arc::new(plan::finder(settings, client.filter(|_| sentinel.is_some())));
        let found = finder.find_once(&target, &credentials).await;
        target.node =
            Some(found.map_err(|error| AskError::Upstream(format!("no primary: {error}")))?);
    }
    Ok((target, credentials))
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
