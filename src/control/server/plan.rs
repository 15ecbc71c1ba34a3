//! Derives from the settings what the parts of Redoubt are started with.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::accept::dispatcher::{Dispatcher, Entry};
use crate::config::{self, GuardMode, ScriptMode, Settings};
use crate::control::functions::FunctionWatch;
use crate::control::guard;
use crate::control::identities::{KnownIdentities, KnownIdentity};
use crate::control::in_force::{Composer, Configured, FirstLogin, compat};
use crate::control::limits;
use crate::control::parameters::ParameterWatch;
use crate::control::primary::Finder;
use crate::control::secrets::ClientPasswords;
use crate::health::Health;
use crate::learn::Learning;
use crate::net::upstream::Target;
use crate::tls;
use crate::worker::flushing::FlushOrder;
use crate::worker::handle::{Plan, WorkerHandle};
use crate::worker::in_force::InForce;
use redoubt_core::auth::{ConnectionLimiter, ConnectionLimits, Networks, ThrottleLimits};
use redoubt_core::observe::ScriptsSeen;
use redoubt_core::policy::Policy;
use redoubt_core::router::{MemoryBudget, Sharing};
use redoubt_core::session::IdentityUsage;
use redoubt_core::upstream::Credentials;

/// Returns the address and socket options of links.
pub(in crate::control) fn target(settings: &Settings, tls: Option<Arc<tls::Client>>) -> Target {
    let upstream = &settings.upstream;
    Target {
        servers: Arc::new(upstream.servers.clone()),
        node: upstream.servers.single().cloned(),
        timeout: upstream.connect_timeout,
        failover_timeout: upstream.failover_timeout,
        dead_after: upstream.dead_after,
        max_link_age: upstream.max_link_age,
        tls,
    }
}

/// Returns what finds the primary; `tls` is present if Sentinels are connected to in TLS.
pub(in crate::control) fn finder(settings: &Settings, tls: Option<Arc<tls::Client>>) -> Finder {
    let sentinel = &settings.upstream.sentinel;
    let credentials =
        Credentials { user: sentinel.user.clone(), password: sentinel.password.clone() };
    Finder::new(Arc::new(settings.upstream.servers.clone()), target(settings, tls), credentials)
}

/// Returns the settings for new connections.
pub(super) fn entry(settings: &Settings) -> Entry {
    Entry {
        proxies: settings.proxy_protocol_from.clone(),
        timeout: settings.limits.auth_timeout,
        keepalive: settings.limits.tcp_keepalive,
    }
}

/// Returns the dispatcher of all listeners.
pub(super) fn dispatcher(settings: &Settings, workers: Vec<WorkerHandle>) -> Dispatcher {
    let (limits, throttle) = (connection_limits(settings), throttle_limits(settings));
    let limiter = ConnectionLimiter::new(networks(settings), limits, throttle);
    Dispatcher {
        limiter: Arc::new(limiter),
        entry: watch::Sender::new(entry(settings)),
        workers,
        refusals: Arc::default(),
    }
}

/// Puts `settings` in force for new connections.
pub(super) fn apply_to_dispatcher(dispatcher: &Dispatcher, settings: &Settings) {
    let (limits, throttle) = (connection_limits(settings), throttle_limits(settings));
    dispatcher.limiter.replace(networks(settings), limits, throttle);
    dispatcher.entry.send_replace(entry(settings));
}

fn networks(settings: &Settings) -> Networks {
    Networks {
        allow: settings.allow.clone(),
        exempt: settings.throttle.exempt.clone(),
        shared: settings.throttle.shared.clone(),
    }
}

fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let limits = &settings.limits;
    ConnectionLimits {
        sessions: limits.max_sessions,
        per_source: limits.sessions_per_address,
        per_identity: limits.sessions_per_identity,
        unauthenticated: limits.unauthenticated_sessions,
        unauthenticated_memory: limits.unauthenticated_memory,
    }
}

fn throttle_limits(settings: &Settings) -> ThrottleLimits {
    let throttle = &settings.throttle;
    ThrottleLimits {
        failures: throttle.failures,
        lockout: throttle.lockout,
        max_lockout: throttle.max_lockout,
    }
}

/// Returns the watch of pinned libraries, if the settings need it.
pub(super) fn function_watch(composer: &Arc<Composer>) -> Option<FunctionWatch> {
    let policy = &composer.settings().policy;
    let pinned = policy.scripts == ScriptMode::Pinned && !policy.pinned_libraries.is_empty();
    pinned.then(|| FunctionWatch {
        target: composer.target(),
        credentials: composer.credentials(),
        libraries: policy.pinned_libraries.iter().cloned().map(Bytes::from).collect(),
        composer: Arc::clone(composer),
        answered: Arc::new(Notify::new()),
    })
}

/// Returns the watch of the upstream's parameters, if the settings need it.
pub(super) fn parameter_watch(composer: &Arc<Composer>) -> Option<ParameterWatch> {
    compat(&composer.settings()).needs_parameters().then(|| ParameterWatch {
        target: composer.target(),
        credentials: composer.credentials(),
        composer: Arc::clone(composer),
        answered: Arc::new(Notify::new()),
    })
}

/// Returns the passwords that clients may log in with, if the upstream has `credentials`.
pub(super) fn client_passwords(
    settings: &Settings,
    identities: &[KnownIdentity],
    credentials: watch::Receiver<Credentials>,
) -> ClientPasswords {
    ClientPasswords::new(settings, identities, credentials)
}

/// Returns whether links log in as the guard, if the guard can be made.
pub(super) fn is_guarded(
    settings: &Settings,
    policy: &Policy,
    identities: &[KnownIdentity],
) -> bool {
    // Requests that come before this is known wait, and then go over links of the guard if there is
    // one.
    guard::is_wanted(settings.policy.guard, policy, identities)
        && settings.policy.guard != GuardMode::Audit
}

/// Returns how links log in at the start.
pub(in crate::control) fn first_login(
    settings: &Settings,
    policy: &Policy,
    identities: &[KnownIdentity],
) -> FirstLogin {
    match guard::is_wanted(settings.policy.guard, policy, identities) {
        true => FirstLogin::ToBeFound { guarded: is_guarded(settings, policy, identities) },
        false => FirstLogin::Configured,
    }
}

/// Returns what the settings mean for sessions and links; with `tls`, links speak TLS.
pub(in crate::control) fn configured(
    settings: &Settings,
    (identities, first_usage): (KnownIdentities, Arc<IdentityUsage>),
    policy: Policy,
    tls: Option<Arc<tls::Client>>,
) -> Configured {
    Configured {
        identities,
        first_usage,
        policy,
        limits: limits::in_force(&settings.limits),
        target: target(settings, tls),
        settings: Arc::new(settings.clone()),
    }
}

/// Returns what a worker is started with.
pub(super) fn plan(
    settings: &Settings,
    in_force: Arc<InForce>,
    flushes: mpsc::Sender<FlushOrder>,
    learning: Learning,
    shutdown: CancellationToken,
) -> Plan {
    let health = Health::default();
    health.links.configure(settings.upstream.max_links);
    Plan {
        in_force,
        sharing: match settings.upstream.sharing {
            config::Sharing::Off => Sharing::Off,
            config::Sharing::Auto => Sharing::Auto,
        },
        health: Arc::new(health),
        shutdown,
        memory: MemoryBudget::default(),
        others: Vec::new(),
        flushes,
        learning,
        scripts: ScriptsSeen::default(),
    }
}
