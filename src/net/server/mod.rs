//! The whole proxy: listeners, workers and the watch of the upstream, from start to stop.

mod plan;
mod upkeep;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::{io, mem};

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::accept::Acceptor;
use super::guard::Maker;
use super::listen::{BindError, listen, listen_on};
use super::load::Load;
use super::secrets::{ClientPasswords, UpstreamPassword};
use super::watch::Watch;
use super::worker::{self, ORDERS, Plan, WorkerHandle};
use crate::admin::{self, Admin};
use crate::audit;
use crate::config::Settings;
use crate::policy::PolicyError;
use crate::telemetry::metrics::{GuardState, guard as guard_state};
use crate::upstream::Credentials;
use crate::upstream::guard::GuardError;
use upkeep::keep_metrics;

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
        let listeners = mem::take(&mut self.admin);
        for listener in &listeners {
            info!(address = %listener.local_addr()?, "admin listening");
        }
        let health = Arc::clone(&plan.health);
        let admin =
            Admin { unready: Box::new(move || health.unready()), metrics: self.settings.metrics };
        if !listeners.is_empty() {
            admin::start(listeners, admin, stop.clone())?;
        }
        Ok(())
    }
}

/// A number that nobody outside can guess, from the system's random keys for hash tables.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
