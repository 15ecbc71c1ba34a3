//! What the settings come to, in the terms of those who act on them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::accept::door::{Door, Entry};
use crate::config::{self, Endpoint, ScriptGate, Settings};
use crate::control::certificates::Certificates;
use crate::control::functions::FunctionWatch;
use crate::control::guard;
use crate::control::rules::{RulesError, rules};
use crate::health::Health;
use crate::net::upstream::Target;
use crate::telemetry::metrics::most_memory;
use crate::worker::handle::{Plan, WorkerHandle};
use redoubt_core::auth::{Gate, GateLimits, Identity, Networks, ThrottleLimits};
use redoubt_core::router::{MemoryBudget, Sharing, Timeouts};
use redoubt_core::upstream::Credentials;

/// Where links go.
pub(super) fn target(settings: &Settings, certificates: &Certificates) -> Target {
    let upstream = &settings.upstream;
    Target {
        endpoint: Endpoint { host: upstream.host.clone(), port: upstream.port },
        timeout: upstream.connect_timeout,
        dead_after: upstream.dead_after,
        max_link_age: upstream.max_link_age,
        tls: certificates.upstream.clone(),
    }
}

/// How connections come in.
pub(super) fn entry(settings: &Settings) -> Entry {
    Entry {
        proxies: settings.proxy_protocol_from.clone(),
        timeout: settings.limits.auth_timeout,
        keepalive: settings.limits.tcp_keepalive,
    }
}

/// How long sessions may be what they are.
pub(super) fn timeouts(settings: &Settings) -> Timeouts {
    let limits = &settings.limits;
    Timeouts { auth: limits.auth_timeout, idle: limits.idle_timeout.unwrap_or_default() }
}

/// Where all connections come in.
pub(super) fn door(settings: &Settings, workers: Vec<WorkerHandle>) -> Door {
    let (limits, throttle) = (gate_limits(settings), throttle_limits(settings));
    let gate = Gate::new(networks(settings), limits, throttle);
    Door {
        gate: Arc::new(gate),
        entry: watch::Sender::new(entry(settings)),
        workers,
        refusals: Arc::default(),
    }
}

/// Has the door let in as `settings` say from here on.
pub(super) fn let_in_by(door: &Door, settings: &Settings) {
    let (limits, throttle) = (gate_limits(settings), throttle_limits(settings));
    door.gate.replace(networks(settings), limits, throttle);
    door.entry.send_replace(entry(settings));
}

fn networks(settings: &Settings) -> Networks {
    Networks {
        allow: settings.allow.clone(),
        exempt: settings.throttle.exempt.clone(),
        shared: settings.throttle.shared.clone(),
    }
}

fn gate_limits(settings: &Settings) -> GateLimits {
    let limits = &settings.limits;
    GateLimits {
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

/// Present if functions run that only Redis can name.
pub(super) fn function_watch(
    settings: &Settings,
    target: watch::Receiver<Target>,
    credentials: watch::Receiver<Credentials>,
    workers: &[WorkerHandle],
) -> Option<FunctionWatch> {
    let policy = &settings.policy;
    let pinned = policy.scripts == ScriptGate::Pinned && !policy.pinned_libraries.is_empty();
    pinned.then(|| FunctionWatch {
        target,
        credentials,
        libraries: policy.pinned_libraries.iter().cloned().map(Bytes::from).collect(),
        workers: workers.to_vec(),
        told: Arc::new(Notify::new()),
    })
}

/// What a worker is started with.
pub(super) fn plan(
    settings: &Settings,
    identity: Identity,
    credentials: Credentials,
    target: Target,
    shutdown: CancellationToken,
) -> Result<Plan, RulesError> {
    let upstream = &settings.upstream;
    let rules = rules(settings, identity, &credentials)?;
    most_memory(rules.limits.memory);
    let guarded = guard::is_wanted(settings.policy.guard, &rules.policy);
    let health = Health::default();
    health.links.configure(upstream.max_links);
    Ok(Plan {
        rules: Arc::new(rules),
        timeouts: timeouts(settings),
        credentials,
        guarded,
        sharing: match upstream.sharing {
            config::Sharing::Off => Sharing::Off,
            config::Sharing::Auto => Sharing::Auto,
        },
        target,
        health: Arc::new(health),
        shutdown,
        shutdown_timeout: settings.shutdown_timeout,
        stall_timeout: upstream.stall_timeout,
        memory: MemoryBudget::default(),
    })
}
