//! The whole proxy: listeners, workers and the watch of the upstream, from start to stop.

mod admin;
mod plan;
mod reload;
mod upkeep;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::{io, mem};

use tokio::runtime::Builder;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::accept::acceptor::Acceptor;
use crate::accept::door::Door;
use crate::accept::listen::{BindError, Listening, listen, listen_for_admin};
use crate::audit;
use crate::config::{Listen, Settings};
use crate::control::certificates::Certificates;
use crate::control::functions::FunctionWatch;
use crate::control::guard::Maker;
use crate::control::rules::RulesError;
use crate::control::secrets::{ClientPasswords, UpstreamPassword, Watchers};
use crate::control::watch::{Settled, Watch};
use crate::net::load::Load;
use crate::net::upstream::Target;
use crate::reload::{ReloadRequest, ReloadSender, Reloads, WAITING};
use crate::telemetry::metrics::{GuardState, guard as guard_state};
use crate::worker;
use crate::worker::beat::Beat;
use crate::worker::handle::{ORDERS, Plan, WorkerHandle};
use redoubt_core::policy::PolicyError;
use redoubt_core::upstream::Credentials;
use redoubt_core::upstream::guard::GuardError;
use reload::Reloader;
use upkeep::keep_metrics;

/// Redoubt with its sockets open.
pub struct Server {
    listeners: Vec<Listening>,
    addresses: Vec<SocketAddr>,
    certificates: Certificates,
    admin: Vec<TcpListener>,
    settings: Settings,
    reloads: Reloads,
    asks: ReloadSender,
    asked: mpsc::Receiver<ReloadRequest>,
}

/// What is in force, as it changes. Each is for the life of the process.
#[derive(Clone)]
struct InForce {
    settings: watch::Sender<Arc<Settings>>,
    /// How Redis is logged in to.
    credentials: watch::Sender<Credentials>,
    target: watch::Sender<Target>,
    certificates: Certificates,
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

impl From<RulesError> for ServeError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Policy(error) => Self::Policy(error),
            RulesError::Random(error) => Self::Start(io::Error::other(error)),
        }
    }
}

impl Server {
    /// Opens the listening sockets. Clients may connect from here on; they are served by
    /// [`Server::run`].
    ///
    /// # Errors
    /// [`BindError`] when an address cannot be resolved or is taken, or a file for TLS cannot be used.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let certificates = Certificates::new(settings)?;
        let listeners = listen(settings)?;
        let addresses = listeners.iter().filter_map(Listening::address).collect();
        let admin = listen_for_admin(settings.admin.as_ref()).map_err(BindError::admin)?;
        let (asks, asked) = mpsc::channel(WAITING);
        Ok(Self {
            listeners,
            addresses,
            certificates,
            admin,
            settings: settings.clone(),
            reloads: Reloads::default(),
            asks,
            asked,
        })
    }

    /// The same, where its configuration can be read again.
    pub fn reloading(self, reloads: Reloads) -> Self {
        Self { reloads, ..self }
    }

    /// Where reloads are asked for.
    pub fn reload_sender(&self) -> ReloadSender {
        self.asks.clone()
    }

    /// Where it listens for TCP and TLS, with the ports that the system chose.
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
        let in_force = InForce {
            credentials: watch::Sender::new(Credentials {
                user: self.settings.upstream.user.clone(),
                password: self.settings.upstream.password.clone(),
            }),
            target: watch::Sender::new(plan::target(&self.settings, &self.certificates)),
            settings: watch::Sender::new(Arc::new(self.settings.clone())),
            certificates: self.certificates.clone(),
        };
        let client = in_force.client_passwords();
        let credentials = in_force.credentials.borrow().clone();
        let target = in_force.target.borrow().clone();
        let plan = plan::plan(&self.settings, client.identity(), credentials, target, stop)?;
        let (mut workers, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..self.settings.workers.get() {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let beat = Beat::new(crate::net::now());
            workers.push(WorkerHandle { orders, load: Load::default(), beat });
            inboxes.push(inbox);
        }
        let door = Arc::new(plan::door(&self.settings, workers.clone()));
        // The admin port tells of the stop until the last session has ended.
        let stopped = CancellationToken::new();
        let _stopped = stopped.clone().drop_guard();
        self.start_admin(&plan, &door, &in_force, &stopped).map_err(ServeError::Start)?;
        let mut threads = Vec::new();
        for (index, (inbox, worker)) in inboxes.into_iter().zip(&workers).enumerate() {
            let (plan, beat) = (plan.clone(), worker.beat.clone());
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::run(plan, inbox, beat))
                .map_err(ServeError::Start)?;
            threads.push(thread);
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
        let maker = Arc::new(Maker {
            mode: self.settings.policy.guard,
            configured: in_force.credentials.subscribe(),
            target: in_force.target.subscribe(),
            made: Default::default(),
        });
        let accepted = self.accept(plan, client, in_force, door, Arc::clone(&maker), shutdown);
        let served = runtime.block_on(accepted);
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
        client: ClientPasswords,
        in_force: InForce,
        door: Arc<Door>,
        maker: Arc<Maker>,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let stop = plan.shutdown.clone();
        // However this ends, the workers end too.
        let _stop_all = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let (acceptors, closing) = (TaskTracker::new(), stop.child_token());
        let workers = door.workers.clone();
        for Listening { socket, at, file } in mem::take(&mut self.listeners) {
            let acceptor = Acceptor {
                listener: socket.arrive().map_err(ServeError::Start)?,
                tls: self.certificates.server.clone().filter(|_| matches!(at, Listen::Tls(_))),
                file,
                door: Arc::clone(&door),
                shutdown: closing.clone(),
            };
            acceptors.spawn(acceptor.run());
            info!(address = %at, version = env!("CARGO_PKG_VERSION"), "listening");
        }
        tasks.spawn(self.certificates.watch(stop.clone()));
        let watch_health = Arc::clone(&plan.health);
        if !plan.guarded {
            // Nothing is to be settled, so the watch will not tell.
            guard_state(GuardState::Configured);
            watch_health.guard(GuardState::Configured, None);
        }
        let settled = Settled::nothing(plan.rules.policy.clone(), in_force.credentials.subscribe());
        let watch = Arc::new(Watch {
            maker,
            health: plan.health,
            workers: workers.clone(),
            shutdown: stop.clone(),
            settled: Mutex::new(settled),
            again: Notify::new(),
        });
        let watching = tasks.spawn(Arc::clone(&watch).run());
        let (upstream, functions) = (in_force.upstream_password(), in_force.functions(&workers));
        let watchers = Watchers::start(client, upstream, functions, &workers, &stop);
        let reloader = Reloader {
            reloads: self.reloads,
            asked: self.asked,
            in_force: in_force.clone(),
            door: Arc::clone(&door),
            workers,
            watch,
            stop: stop.clone(),
        };
        tasks.spawn(reloader.run(watchers));
        let kept = keep_metrics(Arc::clone(&door), Arc::clone(&watch_health), stop.clone());
        tasks.spawn(kept);
        tokio::select! {
            () = stop.cancelled() => {}
            () = shutdown.cancelled() => {
                watch_health.drain();
                let drain_delay = in_force.settings.borrow().drain_delay;
                let _ = timeout(drain_delay, stop.cancelled()).await;
            }
        }
        watch_health.drain();
        audit::stopping(in_force.settings.borrow().shutdown_timeout);
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
}

impl InForce {
    /// Those that clients may log in with.
    fn client_passwords(&self) -> ClientPasswords {
        let settings = self.settings.borrow();
        ClientPasswords::new(&settings.client, settings.allow_weak_passwords, &self.credentials)
    }

    /// Present if it is in a file.
    fn upstream_password(&self) -> Option<UpstreamPassword> {
        let settings = self.settings.borrow();
        let (upstream, allow_weak) = (&settings.upstream, settings.allow_weak_passwords);
        UpstreamPassword::new(upstream, allow_weak, self.target.subscribe(), &self.credentials)
    }

    fn functions(&self, workers: &[WorkerHandle]) -> Option<FunctionWatch> {
        let (target, credentials) = (self.target.subscribe(), self.credentials.subscribe());
        plan::function_watch(&self.settings.borrow(), target, credentials, workers)
    }
}
