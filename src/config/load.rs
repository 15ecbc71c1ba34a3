//! Loads settings from the configuration file and the environment.

use std::path::Path;

use redoubt_core::policy::{Escapes, PolicyError};

use super::credentials::Credentials;
use super::error::{ConfigError, Problem, Site};
use super::read::{Environment, Reader, Source, of_identity};
use super::sections::{
    AuditSettings, CompatSettings, GuardMode, LearnSettings, LimitSettings, LogSettings,
    PolicySettings, Servers, ThrottleSettings, TlsSettings, UpstreamKeys, UpstreamParts,
    UpstreamTls, Verification,
};
use super::settings::{Settings, SettingsKeys, SettingsParts};
use super::table::with_names;
use super::warning::Warning;

impl Settings {
    /// Reads the file at `path`, if a path is given; `environment` wins over it.
    ///
    /// # Errors
    /// Returns the first key that is missing, unknown, contradictory or out of bounds.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let source = match path {
            Some(path) => Source::read(path)?,
            None => Source::new(Path::new("configuration"), ""),
        };
        assemble(&source, environment)
    }

    /// Like [`Settings::load`], from the `text` of a file that errors call `path`.
    ///
    /// # Errors
    /// See [`Settings::load`].
    pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        assemble(&Source::new(path, text), environment)
    }
}

fn assemble(source: &Source<'_>, environment: &Environment) -> Result<Settings, ConfigError> {
    let reader = with_names(|names| Reader::new(source, environment, names))?;
    let top = SettingsKeys::read(&reader)?;
    let tls = TlsSettings::find(&reader, &top.listen)?;
    let upstream = UpstreamKeys::read(&reader)?;
    let policy = PolicySettings::read(&reader)?;
    let compat = CompatSettings::read(&reader)?;
    let limits = LimitSettings::read(&reader)?;
    let throttle = ThrottleSettings::read(&reader)?;
    let audit = AuditSettings::find(&reader)?;
    let learn = LearnSettings::read(&reader)?;
    let log = LogSettings::read(&reader)?;
    let Credentials { client, identities, url, origin, mut sentinel, sentinel_tls, mut warnings } =
        Credentials::find(&reader, top.allow_weak_passwords)?;
    let is_sentinel = matches!(url.servers, Servers::Sentinel { .. });
    let sentinel_tls = is_sentinel && sentinel_tls.unwrap_or(url.tls);
    let found_tls = UpstreamTls::find(&reader, url.tls || sentinel_tls)?;
    let upstream_tls = found_tls.clone().filter(|_| url.tls);
    sentinel.tls = found_tls.filter(|_| sentinel_tls);
    if let Err(error) = policy.compile() {
        let problem = match error {
            PolicyError::AlsoBlocked { rule } => Problem::AlsoBlocked(rule.to_uppercase()),
            PolicyError::NotRefused { rule } => Problem::NotRefused(rule.to_uppercase()),
            // Each rule has been compiled by itself.
            other => Problem::Syntax(other.to_string()),
        };
        return Err(reader.site("policy.allow").unwrap_or(Site::Whole).error(problem));
    }
    if compat.flush.is_some()
        && let Some(open) = policy.open_flush()
    {
        let site = reader.site("policy.compat.flush").unwrap_or(Site::Whole);
        return Err(site.error(Problem::FlushNotBlocked(open)));
    }
    let certificate = identities.iter().find(|identity| identity.certificate.is_some());
    if let Some(identity) = certificate
        && tls.as_ref().is_none_or(|tls| tls.client_ca.is_none())
    {
        let key = format!("{}.certificate", of_identity(&identity.name));
        return Err(reader.site(&key).unwrap_or(Site::Whole).error(Problem::NoClientCa));
    }
    if policy.blocked.is_empty() {
        warnings.push(Warning::NothingBlocked);
    }
    if policy.escapes == Escapes::Allow {
        warnings.push(Warning::EscapesAllowed);
    }
    if upstream_tls.as_ref().is_some_and(|tls| tls.verification == Verification::Dangerous) {
        warnings.push(Warning::AnyCertificate);
    }
    if policy.guard == GuardMode::Off {
        warnings.push(Warning::NoGuard);
    }
    let upstream = upstream.with(UpstreamParts {
        servers: url.servers,
        user: url.user,
        password: url.password,
        password_origin: origin,
        tls: upstream_tls,
        sentinel,
    });
    let parts = SettingsParts {
        client,
        identities,
        upstream,
        policy,
        compat,
        limits,
        throttle,
        tls,
        audit,
        learn,
        log,
        warnings,
    };
    Ok(top.with(parts))
}
