//! What the settings come to, in the terms of those who act on them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Secrets, ServeError, Server};
use crate::auth::{Gate, GateLimits, ThrottleLimits};
use crate::config::{self, AuditKeys, AuditOutput, Endpoint, GuardMode, ScriptGate, Settings};
use crate::exchange::{LinkLimits, Sharing, Timeouts};
use crate::net::door::Door;
use crate::net::functions::FunctionWatch;
use crate::net::guard::{self, Maker};
use crate::net::health::Health;
use crate::net::limits;
use crate::net::refusals::Refusals;
use crate::net::secrets::{self, ClientPasswords, UpstreamPassword};
use crate::net::upstream::Target;
use crate::net::worker::{Plan, WorkerHandle};
use crate::session::{KeyForm, Rules};
use crate::upstream::Credentials;

impl Server {
    pub(super) fn maker(&self, plan: &Plan, secrets: &Secrets) -> Maker {
        Maker {
            mode: self.settings.policy.guard,
            policy: plan.rules.policy.clone(),
            configured: secrets.credentials.subscribe(),
            target: plan.target.clone(),
            made: Mutex::default(),
        }
    }

    /// Present if functions run that only Redis can name.
    pub(super) fn function_watch(
        &self,
        plan: &Plan,
        credentials: &watch::Sender<Credentials>,
        workers: &[WorkerHandle],
        stop: &CancellationToken,
    ) -> Option<FunctionWatch> {
        let policy = &self.settings.policy;
        let pinned = policy.scripts == ScriptGate::Pinned && !policy.pinned_libraries.is_empty();
        pinned.then(|| FunctionWatch {
            target: plan.target.clone(),
            credentials: credentials.subscribe(),
            libraries: policy.pinned_libraries.iter().cloned().map(Bytes::from).collect(),
            workers: workers.to_vec(),
            shutdown: stop.clone(),
        })
    }

    pub(super) fn door(&self, workers: Vec<WorkerHandle>) -> Door {
        let Settings { limits, throttle, .. } = &self.settings;
        let gate = Gate::new(
            self.settings.allow.clone(),
            GateLimits {
                sessions: limits.max_sessions,
                per_source: limits.sessions_per_address,
                per_identity: limits.sessions_per_identity,
                unauthenticated: limits.unauthenticated_sessions,
                unauthenticated_memory: limits.unauthenticated_memory,
            },
            ThrottleLimits {
                failures: throttle.failures,
                lockout: throttle.lockout,
                max_lockout: throttle.max_lockout,
            },
            throttle.exempt.clone(),
        );
        Door {
            gate: Arc::new(gate),
            proxies: self.settings.proxy_protocol_from.clone(),
            header_timeout: limits.auth_timeout,
            keepalive: limits.tcp_keepalive,
            workers,
            refusals: Refusals::default(),
        }
    }

    pub(super) fn secrets(&self) -> Secrets {
        let Settings { client, upstream, allow_weak_passwords: allow_weak, .. } = &self.settings;
        let (watched, credentials) = UpstreamPassword::new(upstream, *allow_weak, &self.target());
        let client = ClientPasswords::new(client, *allow_weak, &credentials);
        Secrets { client, upstream: watched, credentials }
    }

    pub(super) fn target(&self) -> Target {
        let upstream = &self.settings.upstream;
        Target {
            endpoint: Endpoint { host: upstream.host.clone(), port: upstream.port },
            timeout: upstream.connect_timeout,
            keepalive: upstream.tcp_keepalive,
        }
    }

    pub(super) fn plan(
        &self,
        secrets: &Secrets,
        shutdown: CancellationToken,
    ) -> Result<Plan, ServeError> {
        let Settings { upstream, limits, policy, .. } = &self.settings;
        let credentials = secrets.credentials.borrow().clone();
        let compiled = policy.compile()?;
        let is_guarded = guard::is_wanted(policy.guard, &compiled);
        let stand_in = secrets::stand_in(&credentials);
        let rules = Rules {
            policy: compiled,
            scripts: policy.gate(),
            // What is asked before it is known waits, and then goes to the guard if there is one.
            guarded: is_guarded && policy.guard != GuardMode::Audit,
            identity: secrets.client.identity(),
            stand_in: if is_guarded { stand_in.letting_nobody_in() } else { stand_in },
            upstream_version: None,
            auth_attempts: limits.auth_attempts,
            keys: match self.settings.audit.keys {
                _ if self.settings.audit.output == AuditOutput::Off => KeyForm::None,
                AuditKeys::None => KeyForm::None,
                AuditKeys::Hashed => KeyForm::Hashed,
                AuditKeys::Plain => KeyForm::Plain,
            },
            limits: limits::limits(limits),
        };
        Ok(Plan {
            rules: Arc::new(rules),
            timeouts: Timeouts {
                auth: limits.auth_timeout,
                idle: limits.idle_timeout.unwrap_or_default(),
            },
            credentials,
            guarded: is_guarded,
            sharing: match upstream.sharing {
                config::Sharing::Off => Sharing::Off,
                config::Sharing::Auto => Sharing::Auto(LinkLimits {
                    leases: upstream.max_leases.div_ceil(self.settings.workers.get()),
                }),
            },
            target: self.target(),
            health: Arc::new(Health::default()),
            shutdown,
            shutdown_timeout: self.settings.shutdown_timeout,
        })
    }
}
