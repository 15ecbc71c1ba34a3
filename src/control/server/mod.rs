//! The whole proxy from start to stop: listeners, workers and the watch of the upstream.

mod admin;
pub(super) mod plan;
mod reload;
mod upkeep;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::{io, mem};

use tokio::runtime::Builder;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::accept::acceptor::Acceptor;
use crate::accept::dispatcher::Dispatcher;
use crate::accept::listen::{BindError, Listening, listen, listen_for_admin};
use crate::audit;
use crate::config::{Listen, Settings};
use crate::control::certificates::Certificates;
use crate::control::flush::Flusher;
use crate::control::grants::Granter;
use crate::control::guard::GuardProvisioner;
use crate::control::identities::IdentityIds;
use crate::control::in_force::{Composer, FirstLogin};
use crate::control::learn::{Learner, write_state};
use crate::control::secrets::{ClientPasswords, UpstreamPassword, Watched, Watchers};
use crate::control::watch::{Provisioned, Watch};
use crate::grants::{self, GrantRequest, GrantSender};
use crate::learn::Learning;
use crate::net::load::Load;
use crate::reload::{ReloadRequest, ReloadSender, Reloads, WAITING};
use crate::telemetry::metrics::{GuardState, guard as guard_state};
use crate::worker;
use crate::worker::flushing::FLUSHES;
use crate::worker::handle::{ORDERS, Plan, WorkerHandle, announce_move};
use crate::worker::heartbeat::Heartbeat;
use redoubt_core::policy::PolicyError;
use redoubt_core::upstream::Credentials;
use redoubt_core::upstream::guard::GuardError;
use reload::Reloader;
use upkeep::keep_metrics;

/// A Redoubt whose sockets are open.
pub struct Server {
    listeners: Vec<Listening>,
    addresses: Vec<SocketAddr>,
    certificates: Certificates,
    admin: Vec<TcpListener>,
    settings: Settings,
    reloads: Reloads,
    asks: ReloadSender,
    asked: mpsc::Receiver<ReloadRequest>,
    grants: GrantSender,
    asked_grants: mpsc::Receiver<GrantRequest>,
}

/// The reason why a server stopped without a request to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system provided no thread or runtime.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The block list has a rule that does not compile.
    #[error("policy.blocked")]
    Policy(#[from] PolicyError),
    /// The upstream does not allow Redoubt to make the guard, and `policy.guard` is `require`.
    #[error("policy.guard is \"require\", but Redoubt cannot make the guard")]
    Guard(#[source] GuardError),
    /// Redis does not take a rule of an identity.
    #[error("Redis does not take a rule of an identity")]
    Rule(#[source] GuardError),
    /// A worker's thread ended in a panic, which is a defect.
    #[error("internal error: a worker thread stopped; please report it")]
    Worker,
}

impl Server {
    /// Opens the listening sockets. Clients may connect from then on; [`Server::run`] serves them.
    ///
    /// # Errors
    /// Returns a [`BindError`] if an address cannot be resolved or is in use, or a TLS file cannot
    /// be used.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let certificates = Certificates::new(settings)?;
        let listeners = listen(settings)?;
        let addresses = listeners.iter().filter_map(Listening::address).collect();
        let admin = listen_for_admin(settings.admin.as_ref()).map_err(BindError::admin)?;
        let (asks, asked) = mpsc::channel(WAITING);
        let (grants, asked_grants) = mpsc::channel(grants::WAITING);
        Ok(Self {
            listeners,
            addresses,
            certificates,
            admin,
            settings: settings.clone(),
            reloads: Reloads::default(),
            asks,
            asked,
            grants,
            asked_grants,
        })
    }

    /// Enables reloads of the configuration.
    pub fn reloading(self, reloads: Reloads) -> Self {
        Self { reloads, ..self }
    }

    /// Returns the sender of reload requests.
    pub fn reload_sender(&self) -> ReloadSender {
        self.asks.clone()
    }

    /// Returns the TCP and TLS addresses where it listens, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the address of the admin port, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.first().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is cancelled. Then accepts clients for `drain_delay` more, and waits
    /// until sessions have their pending replies, or `shutdown_timeout` has passed. Blocks this
    /// thread.
    ///
    /// # Errors
    /// Returns a [`ServeError`]; all threads have ended then.
    pub fn run(mut self, shutdown: CancellationToken) -> Result<(), ServeError> {
        // The guard ends all threads, whichever way this function returns.
        let stop = CancellationToken::new();
        let _stop_all = stop.clone().drop_guard();
        let (mut workers, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..self.settings.workers.get() {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let heartbeat = Heartbeat::new(crate::net::now());
            workers.push(WorkerHandle { orders, load: Load::default(), heartbeat });
            inboxes.push(inbox);
        }
        let policy = self.settings.policy.compile()?;
        let mut ids = IdentityIds::default();
        let identities = ids.known(&self.settings).map_err(io::Error::other);
        let identities = identities.map_err(ServeError::Start)?;
        let first = plan::first_login(&self.settings, &policy, &identities);
        let credentials = watch::Sender::new(Credentials {
            user: self.settings.upstream.user.clone(),
            password: self.settings.upstream.password.clone(),
        });
        let client = plan::client_passwords(&self.settings, &identities, credentials.subscribe());
        let configured = plan::configured(
            &self.settings,
            (Arc::clone(&identities), ids.first_usage(&self.settings)),
            policy.clone(),
            self.certificates.upstream.clone(),
        );
        let mut composer =
            Composer::new(configured, client.identities(), credentials, first, workers.clone())
                .map_err(|error| ServeError::Start(io::Error::other(error)))?;
        let (flushes, flush_orders) = mpsc::channel(FLUSHES);
        let (learning, learn_orders) = Learning::new();
        let plan = plan::plan(&self.settings, composer.first(), flushes, learning.clone(), stop);
        let composer = Arc::new(composer);
        let dispatcher = Arc::new(plan::dispatcher(&self.settings, workers.clone()));
        // The admin port stays until the last session has ended, so that it can report the stop.
        let stopped = CancellationToken::new();
        let _stopped = stopped.clone().drop_guard();
        self.start_admin(&plan, &dispatcher, (&composer, ids.usages()), &stopped)
            .map_err(ServeError::Start)?;
        let mut threads = Vec::new();
        for (index, (inbox, worker)) in inboxes.into_iter().zip(&workers).enumerate() {
            let others = workers.iter().enumerate().filter(|(other, _)| *other != index);
            let others = others.map(|(_, other)| other.orders.downgrade()).collect();
            let (plan, heartbeat) = (Plan { others, ..plan.clone() }, worker.heartbeat.clone());
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::thread::run(plan, inbox, heartbeat))
                .map_err(ServeError::Start)?;
            threads.push(thread);
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
        let mode = self.settings.policy.guard;
        let maker = GuardProvisioner::new(mode, composer.credentials(), composer.target());
        let maker = Arc::new(maker.map_err(|error| ServeError::Start(io::Error::other(error)))?);
        if let Some(node) = self.settings.upstream.servers.single() {
            plan.health.primary(Some(node.to_string()));
        }
        if first == FirstLogin::Configured {
            // Nothing has to be found out, so the watch will not set this.
            guard_state(GuardState::Configured);
            plan.health.guard(GuardState::Configured, None);
        }
        let watch = Watch {
            maker: Arc::clone(&maker),
            composer: Arc::clone(&composer),
            health: Arc::clone(&plan.health),
            workers,
            shutdown: plan.shutdown.clone(),
            provisioned: Mutex::new(Provisioned::nothing(
                policy,
                identities,
                composer.credentials(),
            )),
            listed: AtomicUsize::new(0),
            again: Notify::new(),
            finder: Arc::new(plan::finder(&self.settings, self.certificates.sentinel.clone())),
        };
        let learner = Learner::new(
            (learning.clone(), learn_orders),
            &composer,
            watch.workers.clone(),
            Arc::clone(&maker),
        );
        let last = Arc::clone(&composer);
        let flusher = Flusher::new(flush_orders, Arc::clone(&composer));
        let accepted = self.accept(
            (client, ids),
            composer,
            dispatcher,
            (Arc::new(watch), flusher, learner),
            shutdown,
        );
        let served = runtime.block_on(accepted);
        let ended: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        write_state(&learning, &last.settings());
        runtime.block_on(maker.remove_own());
        served?;
        ended.into_iter().try_for_each(|outcome| match outcome {
            Ok(outcome) => outcome.map_err(ServeError::Start),
            Err(_) => Err(ServeError::Worker),
        })
    }

    /// Accepts clients and watches the upstream until the watch has shut down, which follows from
    /// `shutdown`.
    async fn accept(
        mut self,
        (client, ids): (ClientPasswords, IdentityIds),
        composer: Arc<Composer>,
        dispatcher: Arc<Dispatcher>,
        (watch, flusher, learner): (Arc<Watch>, Flusher, Learner),
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let stop = watch.shutdown.clone();
        // The guard ends the workers, whichever way this function returns.
        let _stop_all = stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        let (acceptors, closing) = (TaskTracker::new(), stop.child_token());
        for Listening { socket, at, file } in mem::take(&mut self.listeners) {
            let acceptor = Acceptor {
                listener: socket.arrive().map_err(ServeError::Start)?,
                tls: self.certificates.server.clone().filter(|_| matches!(at, Listen::Tls(_))),
                file,
                dispatcher: Arc::clone(&dispatcher),
                shutdown: closing.clone(),
            };
            acceptors.spawn(acceptor.run());
            info!(address = %at, version = env!("CARGO_PKG_VERSION"), "listening");
        }
        tasks.spawn(self.certificates.clone().watch(stop.clone()));
        tasks.spawn(flusher.run(stop.clone()));
        tasks.spawn(learner.run(stop.clone()));
        let health = Arc::clone(&watch.health);
        let watching = tasks.spawn(Arc::clone(&watch).run());
        tasks.spawn(Arc::clone(&watch.finder).run(stop.clone()));
        let watched = Watched {
            client,
            upstream: UpstreamPassword::new(&composer),
            functions: plan::function_watch(&composer),
            parameters: plan::parameter_watch(&composer),
        };
        let watchers = Watchers::start(watched, &composer, &stop);
        let granter = Granter {
            asked: self.asked_grants,
            composer: Arc::clone(&composer),
            watch: Arc::clone(&watch),
            stop: stop.clone(),
        };
        tasks.spawn(granter.run());
        let usages = ids.usages();
        let workers = watch.workers.clone();
        let reloader = Reloader {
            reloads: self.reloads,
            asked: self.asked,
            ids,
            composer: Arc::clone(&composer),
            certificates: self.certificates,
            dispatcher: Arc::clone(&dispatcher),
            watch,
            stop: stop.clone(),
        };
        tasks.spawn(reloader.run(watchers));
        let kept =
            keep_metrics((Arc::clone(&dispatcher), usages), Arc::clone(&health), stop.clone());
        tasks.spawn(kept);
        tokio::select! {
            () = stop.cancelled() => {}
            () = shutdown.cancelled() => {
                health.drain();
                let drain_delay = composer.settings().drain_delay;
                let _ = timeout(drain_delay, async {
                    announce_move(&workers, drain_delay).await;
                    stop.cancelled().await;
                })
                .await;
            }
        }
        health.drain();
        audit::stopping(composer.settings().shutdown_timeout);
        info!("stopping: no new sessions");
        closing.cancel();
        acceptors.close();
        acceptors.wait().await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        dispatcher.refusals.log_rest();
        watching.await.map_err(|_| ServeError::Worker)?.map_err(|error| match error {
            GuardError::Rule(_) => ServeError::Rule(error),
            error => ServeError::Guard(error),
        })
    }
}
