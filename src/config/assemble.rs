//! From the file and the environment to settings: every check that is not about a password or a URL.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use tracing_subscriber::EnvFilter;

use super::audit::AuditSettings;
use super::credentials::Credentials;
use super::duration;
use super::environment::Environment;
use super::error::{ConfigError, Problem, Site};
use super::key::Key;
use super::limits::LimitSettings;
use super::listen::{self, Listen};
use super::policy::{GuardMode, PolicySettings};
use super::schema::{File, Given, Log};
use super::settings::{LogFormat, LogSettings, Settings, Sharing, UpstreamSettings, Warning};
use super::size;
use super::source::Source;
use super::throttle::ThrottleSettings;
use super::tls::{TlsSettings, UpstreamTls, Verification};
use redoubt_core::policy::Escapes;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
/// The longest `TCP_KEEPIDLE` that Linux takes, in seconds.
const MAX_KEEPALIVE: u64 = 32_767;
/// The levels that `log.level` may name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Settings {
    /// Reads the file at `path`, if there is one, and lets `environment` win over it.
    ///
    /// # Errors
    /// The first thing that is missing, unknown, contradictory or out of bounds.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let source = match path {
            Some(path) => Source::read(path)?,
            None => Source::new(Path::new("configuration"), ""),
        };
        assemble(&source, environment)
    }

    /// As [`Settings::load`], from the `text` of a file that errors call `path`.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        assemble(&Source::new(path, text), environment)
    }
}

fn assemble(source: &Source<'_>, environment: &Environment) -> Result<Settings, ConfigError> {
    let mut file = source.file()?;
    let File { listen, workers, drain_delay, shutdown_timeout, allow_weak_passwords, .. } = file;
    let allow_weak_passwords = allow_weak_passwords.is_some_and(|allow| allow.into_inner());
    let listen = Listen::find(source, listen, environment)?;
    let unix_socket_mode = listen::mode(source, file.unix_socket_mode)?;
    let reuse_port = file.reuse_port.is_some_and(|reuse| reuse.into_inner());
    let tls = TlsSettings::find(source, file.tls, &listen)?;
    let workers = source.number("workers", workers, 1, 1..=256)?;
    let drain_delay =
        source.duration("drain_delay", drain_delay, Duration::ZERO)?.unwrap_or_default();
    let shutdown_timeout = source
        .duration("shutdown_timeout", shutdown_timeout, Duration::ZERO)?
        .unwrap_or(Duration::from_secs(10));
    let connect_timeout = source
        .duration("upstream.connect_timeout", file.upstream.connect_timeout.clone(), MILLISECOND)?
        .unwrap_or(Duration::from_secs(2));
    let dead_after = source.keepalive(
        "upstream.dead_after",
        file.upstream.dead_after.clone(),
        Duration::from_secs(15),
    )?;
    let max_link_age = source
        .duration("upstream.max_link_age", file.upstream.max_link_age.clone(), Duration::ZERO)?
        .unwrap_or(Duration::from_secs(3600));
    let sharing = source.one_of(
        "upstream.sharing",
        file.upstream.sharing.clone(),
        &[("auto", Sharing::Auto), ("off", Sharing::Off)],
    )?;
    let max_links = max_links(source, file.upstream.max_links.clone())?;
    let stall_timeout = source
        .duration("upstream.stall_timeout", file.upstream.stall_timeout.clone(), Duration::ZERO)?
        .unwrap_or(UpstreamSettings::DEFAULT_STALL_TIMEOUT);
    let allow = source.networks("allow", file.allow)?;
    let proxy_protocol_from = source.networks("proxy_protocol_from", file.proxy_protocol_from)?;
    let policy = PolicySettings::find(source, file.policy)?;
    let limits = LimitSettings::find(source, file.limits)?;
    let throttle = ThrottleSettings::find(source, file.throttle)?;
    let admin = listen::admin(source, file.admin.listen, environment)?;
    let metrics = file.metrics.enabled.is_none_or(|enabled| enabled.into_inner());
    let audit = AuditSettings::find(source, file.audit)?;
    let log = log(source, file.log)?;
    let upstream_tls = file.upstream.take_tls();
    let Credentials { client, upstream, mut warnings } =
        Credentials::find(source, environment, file.client, file.upstream, allow_weak_passwords)?;
    if policy.blocked.is_empty() {
        warnings.push(Warning::NothingBlocked);
    }
    if policy.escapes == Escapes::Allow {
        warnings.push(Warning::EscapesAllowed);
    }
    let upstream_tls = UpstreamTls::find(source, upstream_tls, upstream.url.tls)?;
    if upstream_tls.as_ref().is_some_and(|tls| tls.verification == Verification::Dangerous) {
        warnings.push(Warning::AnyCertificate);
    }
    if policy.guard == GuardMode::Off {
        warnings.push(Warning::NoGuard);
    }
    Ok(Settings {
        listen,
        allow,
        proxy_protocol_from,
        unix_socket_mode,
        reuse_port,
        workers: NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN),
        drain_delay,
        shutdown_timeout,
        allow_weak_passwords,
        client,
        upstream: UpstreamSettings {
            host: upstream.url.host,
            port: upstream.url.port,
            user: upstream.url.user,
            password: upstream.url.password,
            password_origin: upstream.origin,
            connect_timeout,
            dead_after,
            max_link_age,
            sharing: sharing.unwrap_or_default(),
            max_links,
            stall_timeout: Some(stall_timeout).filter(|timeout| !timeout.is_zero()),
            tls: upstream_tls,
        },
        policy,
        limits,
        throttle,
        tls,
        admin,
        metrics,
        audit,
        log,
        warnings,
    })
}

/// `None` for 0.
fn max_links(source: &Source<'_>, given: Given<i64>) -> Result<Option<usize>, ConfigError> {
    let key = "upstream.max_links";
    let site = given.as_ref().map(|given| source.site(key, given.span()));
    let number: usize = source.number(key, given, 0, 0..=1_000_000)?;
    match site {
        Some(site) if (1..UpstreamSettings::LEAST_LINKS).contains(&number) => {
            Err(expected(&site, key))
        }
        _ => Ok(Some(number).filter(|number| *number > 0)),
    }
}

fn log(source: &Source<'_>, log: Log) -> Result<LogSettings, ConfigError> {
    let formats = [LogFormat::Text, LogFormat::Json].map(|format| (format.as_str(), format));
    let format = source.one_of("log.format", log.format, &formats)?.unwrap_or_default();
    let level = match log.level {
        None => LogSettings::default().level,
        Some(level) if is_filter(level.get_ref()) => level.into_inner(),
        Some(level) => {
            let key = "log.level";
            return Err(expected(&source.site(key, level.span()), key));
        }
    };
    Ok(LogSettings { format, level })
}

/// Whether `level` is a level or filter directives.
///
/// The filter itself would take a misspelt level for the name of a module, and panics on some text
/// that is not ASCII.
fn is_filter(level: &str) -> bool {
    level.is_ascii()
        && level.split(',').all(|directive| {
            let directive = directive.trim();
            LEVELS.contains(&directive) || directive.contains('=')
        })
        && EnvFilter::builder().parse(level).is_ok()
}

/// The error for a value at `site` that `key` does not take.
pub(super) fn expected(site: &Site, key: &'static str) -> ConfigError {
    match Key::find(key) {
        Some(key) => site.expected(key),
        None => site.error(Problem::UnknownKey(None)),
    }
}

impl Source<'_> {
    pub(super) fn number<N: TryFrom<i64>>(
        &self,
        key: &'static str,
        given: Given<i64>,
        default: N,
        bounds: RangeInclusive<i64>,
    ) -> Result<N, ConfigError> {
        let Some(given) = given else { return Ok(default) };
        let number = Some(*given.get_ref()).filter(|number| bounds.contains(number));
        number
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| expected(&self.site(key, given.span()), key))
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        given: Given<String>,
        least: Duration,
    ) -> Result<Option<Duration>, ConfigError> {
        let Some(given) = given else { return Ok(None) };
        match duration::parse(given.get_ref()).filter(|duration| *duration >= least) {
            Some(duration) => Ok(Some(duration)),
            None => Err(expected(&self.site(key, given.span()), key)),
        }
    }

    pub(super) fn size(
        &self,
        key: &'static str,
        given: Given<String>,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let Some(given) = given else { return Ok(default) };
        let size = size::parse(given.get_ref()).filter(|size| bounds.contains(size));
        size.ok_or_else(|| expected(&self.site(key, given.span()), key))
    }

    /// Networks in CIDR notation; an address alone is itself.
    pub(super) fn networks(
        &self,
        key: &'static str,
        given: Given<Vec<Spanned<String>>>,
    ) -> Result<Vec<IpNet>, ConfigError> {
        let given = given.map(Spanned::into_inner).unwrap_or_default();
        let parsed = given.into_iter().map(|text| {
            let address = || text.get_ref().parse::<IpAddr>().map(IpNet::from).ok();
            let network = text.get_ref().parse::<IpNet>().map(|net| net.trunc()).ok();
            network.or_else(address).ok_or_else(|| expected(&self.site(key, text.span()), key))
        });
        parsed.collect()
    }

    /// A duration in the kernel's own grain, or none at all.
    pub(super) fn keepalive(
        &self,
        key: &'static str,
        given: Given<String>,
        default: Duration,
    ) -> Result<Option<Duration>, ConfigError> {
        let site = given.as_ref().map(|given| self.site(key, given.span()));
        let every = self.duration(key, given, Duration::ZERO)?.unwrap_or(default);
        match site {
            Some(site) if every.subsec_nanos() != 0 || every.as_secs() > MAX_KEEPALIVE => {
                Err(expected(&site, key))
            }
            _ => Ok(Some(every).filter(|every| !every.is_zero())),
        }
    }

    pub(super) fn one_of<T: Copy>(
        &self,
        key: &'static str,
        given: Given<String>,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = given else { return Ok(None) };
        match choices.iter().find(|(name, _)| name == given.get_ref()) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => Err(expected(&self.site(key, given.span()), key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for right in ["info", "off", "info,redoubt_core::session=warn", "redoubt=debug, warn"] {
            assert!(is_filter(right), "{right}");
        }
        for wrong in ["", "inof", "INFORMATION", "info,", "redoubt=loud", "info,debgu", "a}…=z"] {
            assert!(!is_filter(wrong), "{wrong:?}");
        }
    }
}
