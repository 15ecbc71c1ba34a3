//! What the rest of the program is given: plain values that have been checked.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::audit::AuditSettings;
use super::limits::LimitSettings;
use super::listen::Listen;
use super::policy::PolicySettings;
use super::previous::PreviousPassword;
use super::throttle::ThrottleSettings;
use super::tls::{TlsSettings, UpstreamTls};

/// A complete and valid configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect; never empty. Port 0 lets the system choose one.
    pub listen: Vec<Listen>,
    /// The permissions of `unix://` sockets, as of files: `0o660`.
    pub unix_socket_mode: u32,
    /// Whether another Redoubt may listen on the same addresses.
    pub reuse_port: bool,
    /// Networks whose clients may connect; empty for all.
    pub allow: Vec<IpNet>,
    /// Networks whose connections begin with a PROXY protocol header that tells the client.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Worker threads, each with its own sessions and links.
    pub workers: NonZeroUsize,
    /// How long new clients are still let in once a stop was asked for, so that whoever sends them has
    /// time to notice that it is not ready any more.
    pub drain_delay: Duration,
    /// How long a stop waits for replies that are due; zero waits for none.
    pub shutdown_timeout: Duration,
    /// Whether passwords under [`Settings::STRONG_PASSWORD`] characters were let pass.
    pub allow_weak_passwords: bool,
    /// Who may connect.
    pub client: ClientSettings,
    /// The Redis behind.
    pub upstream: UpstreamSettings,
    /// What nobody may run.
    pub policy: PolicySettings,
    /// Bounds on sessions.
    pub limits: LimitSettings,
    /// What becomes of an address from which wrong passwords come.
    pub throttle: ThrottleSettings,
    /// What clients of `tls://` listeners are shown; present if there are such.
    pub tls: Option<TlsSettings>,
    /// Where the admin port is; `None` for none.
    pub admin: Option<Endpoint>,
    /// Whether there are metrics.
    pub metrics: bool,
    /// Where the audit log goes, and what is in it.
    pub audit: AuditSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// What is allowed but unwise; to be logged once at start.
    pub warnings: Vec<Warning>,
}

impl Settings {
    /// Fewest characters of a password that passes without `allow_weak_passwords`.
    pub const STRONG_PASSWORD: usize = 32;
    /// Most bytes of a password.
    pub const MAX_PASSWORD: usize = 4096;
}

/// A host and a port: `127.0.0.1:6380`, `[::1]:6380`, `redis:6379`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The one identity that clients log in as.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The user name; `None` is Redis's `default`, for whom `AUTH password` is enough.
    pub user: Option<String>,
    /// The password clients must give; the upstream's when none was configured for clients.
    pub password: SecretString,
    /// Where the password was found.
    pub password_origin: Origin,
    /// A password that clients may use besides, for a while.
    pub previous: Option<PreviousPassword>,
}

/// The Redis that Redoubt stands before, and how its links log in.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// The ACL user; `None` logs in with the password alone, which Redis 5 understands too.
    pub user: Option<String>,
    /// `None`: Redis asks for no password.
    pub password: Option<SecretString>,
    /// Where the password was found; `None` when there is none.
    pub password_origin: Option<Origin>,
    /// How long resolving, connecting and logging in may take together; above zero.
    pub connect_timeout: Duration,
    /// How soon it is noticed that the upstream's host has vanished, in whole seconds; `None` leaves
    /// that to the system.
    pub dead_after: Option<Duration>,
    /// How old a link may become before another takes its place; zero for any age.
    pub max_link_age: Duration,
    /// Whether sessions share links.
    pub sharing: Sharing,
    /// Most connections to Redis at one time, over all workers; `None` takes Redis's own `maxclients`
    /// less a reserve.
    pub max_links: Option<usize>,
    /// How long a shared link may owe a reply while Redis answers on another; `None` for ever.
    pub stall_timeout: Option<Duration>,
    /// Present if TLS is spoken to it.
    pub tls: Option<UpstreamTls>,
}

impl UpstreamSettings {
    /// Fewest that `upstream.max_links` may be: with less, no client could be served.
    pub const LEAST_LINKS: usize = 8;
    /// How long a shared link may owe a reply unless the operator says otherwise.
    pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(10);
}

/// How sessions are spread over links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Stateless commands of many sessions share a few links; a session has a link of its own, a
    /// lease, while it is stateful.
    #[default]
    Auto,
    /// Every session has a link of its own for its whole life.
    Off,
}

impl Sharing {
    /// As written in the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

/// What is logged, and how. Logs go to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// A level, or tracing's filter directives such as `info,redoubt_core::session=warn`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// As written in the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Where a password was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Under this key of the configuration file.
    Key(&'static str),
    /// In a file that this key names.
    KeyFile(&'static str, PathBuf),
    /// In this environment variable.
    Variable(&'static str),
    /// In a file that this environment variable names.
    VariableFile(&'static str, PathBuf),
    /// Clients were given none of their own, so they use the upstream's.
    Upstream,
}

impl Origin {
    /// The key or variable by which it was found.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Key(name) | Self::KeyFile(name, _) => name,
            Self::Variable(name) | Self::VariableFile(name, _) => name,
            Self::Upstream => "upstream.password",
        }
    }

    /// The file that holds the password, if one does.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::KeyFile(_, path) | Self::VariableFile(_, path) => Some(path),
            Self::Key(_) | Self::Variable(_) | Self::Upstream => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "from {key}"),
            Self::Variable(name) => write!(f, "from {name} in the environment"),
            Self::KeyFile(key, path) => write!(f, "from {key} ({path:?})"),
            Self::VariableFile(name, path) => {
                write!(f, "from {name} in the environment ({path:?})")
            }
            Self::Upstream => f.write_str("the upstream's, as clients have none of their own"),
        }
    }
}

/// Something that is allowed but unwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Clients use the password that Redis itself takes.
    #[error(
        "clients use the upstream's password, so whoever reaches Redis can go round Redoubt; \
         set REDOUBT_PASSWORD or client.password_file to another (openssl rand -hex 32)"
    )]
    OnePassword,
    /// `allow_weak_passwords` let a short client password pass.
    #[error("the client password is under 32 characters and allow_weak_passwords lets it pass")]
    WeakClientPassword,
    /// `allow_weak_passwords` let a short previous client password pass.
    #[error(
        "the previous client password is under 32 characters and allow_weak_passwords lets it pass"
    )]
    WeakPreviousPassword,
    /// `client.previous_until` has passed.
    #[error(
        "client.previous_until has passed, so the previous client password is not accepted; \
         remove both"
    )]
    PreviousPasswordOver,
    /// `allow_weak_passwords` let a short upstream password pass.
    #[error("the upstream password is under 32 characters and allow_weak_passwords lets it pass")]
    WeakUpstreamPassword,
    /// Redis takes commands from anyone who reaches it.
    #[error(
        "no upstream password is set, so whoever reaches Redis can go round Redoubt; \
         set requirepass in Redis and REDIS_PASSWORD here"
    )]
    NoUpstreamPassword,
    /// `policy.blocked` is an empty list.
    #[error("policy.blocked is empty, so only escapes are refused")]
    NothingBlocked,
    /// `policy.escapes` is `allow`.
    #[error("policy.escapes is \"allow\", so clients can get round the block list")]
    EscapesAllowed,
    /// `upstream.tls_dangerously_accept_any_certificate` is true.
    #[error(
        "upstream.tls_dangerously_accept_any_certificate is true, so whoever is between Redoubt and Redis \
         can read and change everything"
    )]
    AnyCertificate,
    /// `policy.guard` is `off`.
    #[error("policy.guard is \"off\", so scripts can run what is blocked")]
    NoGuard,
}
