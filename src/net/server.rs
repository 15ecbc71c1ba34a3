//! The whole proxy: listeners, workers and the watch of the upstream, from start to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::{io, mem};

use secrecy::ExposeSecret;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::accept::Acceptor;
use super::guard::{self, Maker};
use super::health::Health;
use super::listen::{BindError, listen};
use super::load::Load;
use super::upstream::Target;
use super::watch::Watch;
use super::worker::{self, ORDERS, Plan, WorkerHandle};
use crate::auth::Identity;
use crate::config::{self, Endpoint, GuardMode, Settings};
use crate::exchange::{LinkLimits, Sharing, Timeouts};
use crate::policy::PolicyError;
use crate::session::{Rules, StandIn};
use crate::upstream::Credentials;
use crate::upstream::guard::GuardError;

/// Redoubt with its sockets open.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    settings: Settings,
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
        let listeners = listen(&settings.listen)?;
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
        let plan = self.plan(stop.clone())?;
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
        let maker = Arc::new(self.maker(&plan));
        let served = runtime.block_on(self.accept(plan, workers, Arc::clone(&maker), stop));
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
        workers: Vec<WorkerHandle>,
        maker: Arc<Maker>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        // However this ends, the workers end too.
        let _stop_all = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let total = Load::default();
        for listener in mem::take(&mut self.listeners) {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(ServeError::Start)?;
            let acceptor = Acceptor {
                listener,
                workers: workers.clone(),
                total: total.clone(),
                max_sessions: self.settings.limits.max_sessions,
                keepalive: self.settings.limits.tcp_keepalive,
                shutdown: stop.clone(),
            };
            tasks.spawn(acceptor.run());
        }
        for address in &self.addresses {
            info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        }
        let watch = Watch { maker, health: plan.health, workers, shutdown: stop.clone() };
        let watching = tasks.spawn(watch.run());
        stop.cancelled().await;
        info!("stopping: no new sessions");
        tasks.close();
        tasks.wait().await;
        watching.await.map_err(|_| ServeError::Worker)?.map_err(ServeError::from)
    }

    fn maker(&self, plan: &Plan) -> Maker {
        Maker {
            mode: self.settings.policy.guard,
            policy: plan.rules.policy.clone(),
            configured: watch::channel(plan.credentials.clone()).1,
            target: plan.target.clone(),
            made: Mutex::default(),
        }
    }

    fn plan(&self, shutdown: CancellationToken) -> Result<Plan, ServeError> {
        let Settings { client, upstream, limits, policy, .. } = &self.settings;
        let password = upstream.password.as_ref().map(|p| p.expose_secret().as_bytes());
        let compiled = crate::policy::Policy::compile(&policy.blocked)?;
        let is_guarded = guard::is_wanted(policy.guard, &compiled);
        let stand_in = StandIn::new(upstream.user.as_deref(), password, random());
        let rules = Rules {
            policy: compiled,
            scripts: crate::policy::Scripts::default(),
            // What is asked before it is known waits, and then goes to the guard if there is one.
            guarded: is_guarded && policy.guard != GuardMode::Audit,
            identity: Identity::new(client.user.as_deref(), &client.password),
            stand_in: if is_guarded { stand_in.letting_nobody_in() } else { stand_in },
            upstream_version: None,
            auth_attempts: limits.auth_attempts,
        };
        Ok(Plan {
            rules: Arc::new(rules),
            timeouts: Timeouts {
                auth: limits.auth_timeout,
                idle: limits.idle_timeout.unwrap_or_default(),
            },
            credentials: Credentials {
                user: upstream.user.clone(),
                password: upstream.password.clone(),
            },
            guarded: is_guarded,
            sharing: match upstream.sharing {
                config::Sharing::Off => Sharing::Off,
                config::Sharing::Auto => Sharing::Auto(LinkLimits {
                    leases: upstream.max_leases.div_ceil(self.settings.workers.get()),
                }),
            },
            target: Target {
                endpoint: Endpoint { host: upstream.host.clone(), port: upstream.port },
                timeout: upstream.connect_timeout,
                keepalive: upstream.tcp_keepalive,
            },
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
