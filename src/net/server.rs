//! The whole proxy: listeners, workers and the watch of the upstream, from start to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::accept::Acceptor;
use super::door::Door;
use super::functions::FunctionWatch;
use super::guard::{self, Maker};
use super::health::Health;
use super::listen::{BindError, listen, listen_on};
use super::load::Load;
use super::refusals::Refusals;
use super::secrets::{self, ClientPasswords, UpstreamPassword};
use super::upstream::Target;
use super::watch::Watch;
use super::worker::{self, ORDERS, Plan, WorkerHandle};
use crate::audit;
use crate::auth::{Gate, GateLimits, ThrottleLimits};
use crate::config::{self, AuditKeys, AuditOutput, Endpoint, GuardMode, ScriptGate, Settings};
use crate::exchange::{LinkLimits, Sharing, Timeouts};
use crate::policy::PolicyError;
use crate::session::{KeyForm, Rules};
use crate::telemetry;
use crate::telemetry::metrics::{GuardState, guard as guard_state};
use crate::upstream::Credentials;
use crate::upstream::guard::GuardError;

/// How often the samples of histograms are put together, and what is no worker's is looked at.
const METRICS_UPKEEP: Duration = Duration::from_secs(1);

/// Redoubt with its sockets open.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    admin: Vec<TcpListener>,
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
    /// [`BindError`] when an address cannot be resolved or is taken, or a way of speaking is
    /// configured that is not built yet.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let listeners = listen(settings)?;
        let addresses = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
        let admin = listen_on(settings.admin.as_slice(), false)?;
        Ok(Self { listeners, addresses, admin, settings: settings.clone() })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the admin port is, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.first().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is cancelled, lets clients in for `drain_delay` more, and then until
    /// sessions have had what is due to them, or `shutdown_timeout` has passed. Blocks this thread.
    ///
    /// # Errors
    /// [`ServeError`]; all threads have ended then.
    pub fn run(mut self, shutdown: CancellationToken) -> Result<(), ServeError> {
        // However this ends, the threads it started end too.
        let stop = CancellationToken::new();
        let _stop_all = stop.clone().drop_guard();
        let secrets = self.secrets();
        let plan = self.plan(&secrets, stop)?;
        // The admin port tells of the stop until the last session has ended.
        let stopped = CancellationToken::new();
        let _stopped = stopped.clone().drop_guard();
        self.start_admin(&plan, &stopped).map_err(ServeError::Start)?;
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
            runtime.block_on(self.accept(plan, secrets, workers, Arc::clone(&maker), shutdown));
        let ended: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        runtime.block_on(maker.remove_own());
        served?;
        ended.into_iter().try_for_each(|outcome| match outcome {
            Ok(outcome) => outcome.map_err(ServeError::Start),
            Err(_) => Err(ServeError::Worker),
        })
    }

    /// Accepts clients and watches the upstream until the plan's own shutdown, which `shutdown` leads to.
    async fn accept(
        mut self,
        plan: Plan,
        secrets: Secrets,
        workers: Vec<WorkerHandle>,
        maker: Arc<Maker>,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let stop = plan.shutdown.clone();
        // However this ends, the workers end too.
        let _stop_all = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let (acceptors, closing) = (TaskTracker::new(), stop.child_token());
        let door = Arc::new(self.door(workers.clone()));
        for listener in mem::take(&mut self.listeners) {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(ServeError::Start)?;
            let acceptor =
                Acceptor { listener, door: Arc::clone(&door), shutdown: closing.clone() };
            acceptors.spawn(acceptor.run());
        }
        for address in &self.addresses {
            info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        }
        if let Some(functions) = self.function_watch(&plan, &secrets.credentials, &workers, &stop) {
            tasks.spawn(functions.run());
        }
        let watch_health = Arc::clone(&plan.health);
        if !plan.guarded {
            // Nothing is to be settled, so the watch will not tell.
            guard_state(GuardState::Configured);
        }
        let watch =
            Watch { maker, health: plan.health, workers: workers.clone(), shutdown: stop.clone() };
        let watching = tasks.spawn(watch.run());
        tasks.spawn(secrets.client.run(workers.clone(), stop.clone()));
        if let Some(upstream) = secrets.upstream {
            tasks.spawn(upstream.run(stop.clone()));
        }
        tasks.spawn(keep_metrics(Arc::clone(&door), stop.clone()));
        tokio::select! {
            () = stop.cancelled() => {}
            () = shutdown.cancelled() => {
                watch_health.drain();
                let _ = timeout(self.settings.drain_delay, stop.cancelled()).await;
            }
        }
        watch_health.drain();
        audit::stopping(self.settings.shutdown_timeout);
        info!("stopping: no new sessions");
        closing.cancel();
        acceptors.close();
        acceptors.wait().await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        door.refusals.say_rest();
        watching.await.map_err(|_| ServeError::Worker)?.map_err(ServeError::from)
    }

    fn start_admin(&mut self, plan: &Plan, stop: &CancellationToken) -> io::Result<()> {
        for listener in mem::take(&mut self.admin) {
            let address = listener.local_addr()?;
            let health = Arc::clone(&plan.health);
            let unready = Arc::new(move || health.unready());
            crate::admin::start(listener, unready, stop.clone())?;
            info!(%address, "admin listening");
        }
        Ok(())
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
            keys: match self.settings.audit.keys {
                _ if self.settings.audit.output == AuditOutput::Off => KeyForm::None,
                AuditKeys::None => KeyForm::None,
                AuditKeys::Hashed => KeyForm::Hashed,
                AuditKeys::Plain => KeyForm::Plain,
            },
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

/// Bounds what metrics take while nobody scrapes them, and brings those of `door`, until `stop`.
async fn keep_metrics(door: Arc<Door>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(METRICS_UPKEEP);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let waiting = |worker: &WorkerHandle| {
            worker.orders.max_capacity().saturating_sub(worker.orders.capacity())
        };
        let orders = door.workers.iter().map(waiting).sum();
        telemetry::metrics::door(&door.gate, orders, worker::now());
        telemetry::metrics::upkeep();
    }
}

/// A number that nobody outside can guess, from the system's random keys for hash tables.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
