//! The whole proxy: listeners, workers and the watch of the upstream, from start to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::{io, mem};

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::accept::Acceptor;
use super::door::Door;
use super::functions::FunctionWatch;
use super::guard::{self, Maker};
use super::health::Health;
use super::listen::{BindError, listen};
use super::load::Load;
use super::refusals::Refusals;
use super::secrets::{self, ClientPasswords, UpstreamPassword};
use super::upstream::Target;
use super::watch::Watch;
use super::worker::{self, ORDERS, Plan, WorkerHandle};
use crate::auth::{Gate, GateLimits, ThrottleLimits};
use crate::config::{self, Endpoint, GuardMode, Listen, ScriptGate, Settings};
use crate::exchange::{LinkLimits, Sharing, Timeouts};
use crate::policy::PolicyError;
use crate::session::Rules;
use crate::upstream::Credentials;
use crate::upstream::guard::GuardError;

/// Redoubt with its sockets open.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    settings: Settings,
}

/// Passwords, as they are now and as they change.
struct Secrets {
    client: ClientPasswords,
    /// When the upstream's is in a file.
    upstream: Option<UpstreamPassword>,
    /// How Redis is logged in to.
    credentials: watch::Sender<Credentials>,
}

/// Why a server stopped other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system gave no thread or runtime.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The block list has a rule that cannot be compiled.
    #[error("policy.blocked")]
    Policy(#[from] PolicyError),
    /// The upstream lets no guard be made, and `policy.guard` is `require`.
    #[error("policy.guard is \"require\", but upstream lets no guard be made")]
    Guard(#[from] GuardError),
    /// A worker's thread ended in a panic: a defect.
    #[error("a worker stopped unexpectedly")]
    Worker,
}

impl Server {
    /// Opens the listening sockets. Clients may connect from here on; they are served by
    /// [`Server::run`].
    ///
    /// # Errors
    /// [`BindError`] when an address cannot be resolved or is taken.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let plain = settings.listen.iter().filter_map(|listen| match listen {
            Listen::Tcp(endpoint) => Some(endpoint.clone()),
            Listen::Tls(_) | Listen::Unix(_) => None,
        });
        let listeners = listen(&plain.collect::<Vec<_>>())?;
        let addresses = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
        Ok(Self { listeners, addresses, settings: settings.clone() })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown` is cancelled and sessions have had what is due to them, or
    /// `shutdown_timeout` has passed. Blocks this thread.
    ///
    /// # Errors
    /// [`ServeError`]; all threads have ended then.
    pub fn run(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        // However this ends, the threads it started end too.
        let stop = shutdown.child_token();
        let _stop_all = stop.clone().drop_guard();
        let secrets = self.secrets();
        let plan = self.plan(&secrets, stop.clone())?;
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..self.settings.workers.get() {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let plan = plan.clone();
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::run(plan, inbox))
                .map_err(ServeError::Start)?;
            workers.push(WorkerHandle { orders, load: Load::default() });
            threads.push(thread);
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
        let maker = Arc::new(self.maker(&plan, &secrets));
        let served =
            runtime.block_on(self.accept(plan, secrets, workers, Arc::clone(&maker), stop));
        let ended: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        runtime.block_on(maker.remove_own());
        served?;
        ended.into_iter().try_for_each(|outcome| match outcome {
            Ok(outcome) => outcome.map_err(ServeError::Start),
            Err(_) => Err(ServeError::Worker),
        })
    }

    /// Accepts clients and watches the upstream until `stop`.
    async fn accept(
        mut self,
        plan: Plan,
        secrets: Secrets,
        workers: Vec<WorkerHandle>,
        maker: Arc<Maker>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        // However this ends, the workers end too.
        let _stop_all = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let door = Arc::new(self.door(workers.clone()));
        for listener in mem::take(&mut self.listeners) {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(ServeError::Start)?;
            let acceptor = Acceptor { listener, door: Arc::clone(&door), shutdown: stop.clone() };
            tasks.spawn(acceptor.run());
        }
        for address in &self.addresses {
            info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        }
        if let Some(functions) = self.function_watch(&plan, &secrets.credentials, &workers, &stop) {
            tasks.spawn(functions.run());
        }
        let watch =
            Watch { maker, health: plan.health, workers: workers.clone(), shutdown: stop.clone() };
        let watching = tasks.spawn(watch.run());
        tasks.spawn(secrets.client.run(workers.clone(), stop.clone()));
        if let Some(upstream) = secrets.upstream {
            tasks.spawn(upstream.run(stop.clone()));
        }
        stop.cancelled().await;
        info!("stopping: no new sessions");
        tasks.close();
        tasks.wait().await;
        watching.await.map_err(|_| ServeError::Worker)?.map_err(ServeError::from)
    }

    fn maker(&self, plan: &Plan, secrets: &Secrets) -> Maker {
        Maker {
            mode: self.settings.policy.guard,
            policy: plan.rules.policy.clone(),
            configured: secrets.credentials.subscribe(),
            target: plan.target.clone(),
            made: Mutex::default(),
        }
    }

    /// Present if functions run that only Redis can name.
    fn function_watch(
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

    fn door(&self, workers: Vec<WorkerHandle>) -> Door {
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

    fn secrets(&self) -> Secrets {
        let Settings { client, upstream, allow_weak_passwords: allow_weak, .. } = &self.settings;
        let (watched, credentials) = UpstreamPassword::new(upstream, *allow_weak, &self.target());
        let client = ClientPasswords::new(client, *allow_weak, &credentials);
        Secrets { client, upstream: watched, credentials }
    }

    fn target(&self) -> Target {
        let upstream = &self.settings.upstream;
        Target {
            endpoint: Endpoint { host: upstream.host.clone(), port: upstream.port },
            timeout: upstream.connect_timeout,
            keepalive: upstream.tcp_keepalive,
        }
    }

    fn plan(&self, secrets: &Secrets, shutdown: CancellationToken) -> Result<Plan, ServeError> {
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
            limits: super::limits::limits(limits),
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

/// A number that nobody outside can guess, from the system's random keys for hash tables.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
