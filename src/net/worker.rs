//! A worker: one thread with its own runtime, sessions and links.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use slotmap::{DefaultKey, SecondaryMap, SparseSecondaryMap};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::accept::Accepted;
use super::beat::Beat;
use super::change::Change;
use super::client::{self, ClientIo};
use super::drain::drain;
use super::health::Health;
use super::link::{self, LinkIo};
use super::liveness::LinkNews;
use super::load::Load;
use super::snapshot::{self, Question};
use super::standing::{Known, Standing, Way};
use super::totals::Totals;
use super::unserved::Held;
use super::upstream::Target;
use crate::audit;
use crate::telemetry::metrics::WorkerMetrics;
use redoubt_core::auth::Identity;
use redoubt_core::command::Version;
use redoubt_core::policy::{Policy, Scripts};
use redoubt_core::router::{Exchange, MemoryBudget, SessionId, Sharing, Timeouts};
use redoubt_core::session::Rules;
use redoubt_core::upstream::Credentials;

/// Bytes read from a link at once, and at most from a client; see [`Exchange::read_size`].
const READ_SIZE: usize = 256 << 10;
/// How often time limits of sessions are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a worker that is to stop still takes requests, so that what has arrived is answered: a
/// socket that is closed with bytes unread resets its client, replies and all.
const LAST_REQUESTS: Duration = Duration::from_millis(50);
/// Tasks that run before the system is asked what else has become ready. All sessions of a turn
/// should fit, so that a link is written once for them.
const TURN: u32 = 256;
/// Orders that may wait for a worker; more make the sender wait.
pub(super) const ORDERS: usize = 256;

/// What a worker is told by other threads.
pub(super) enum Order {
    /// Take this client.
    Accept(Accepted),
    /// These passwords are accepted from clients from now on.
    Identity(Identity),
    /// The upstream has told its version, or has none to tell.
    UpstreamVersion(Option<Version>),
    /// Whether the upstream checks what `RESTORE` brings.
    ChecksPayloads(bool),
    /// The functions that the pinned libraries have now.
    Functions(Arc<HashSet<Bytes>>),
    /// How links log in.
    Standing(Standing),
    /// What has been found out about links.
    Links(LinkNews),
    /// What a reload has changed; the answer tells how many sessions ended for it.
    Change(Box<Change>, oneshot::Sender<u64>),
    /// Tell of yourself.
    Tell(Question),
}

/// How other threads speak to a worker.
#[derive(Clone)]
pub(super) struct WorkerHandle {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) load: Load,
    pub(super) beat: Beat,
}

impl WorkerHandle {
    pub(super) async fn accept(&self, accepted: Accepted) {
        self.order(Order::Accept(self.counted(accepted))).await;
    }

    /// As [`WorkerHandle::accept`]; gives the client back when too many orders wait.
    #[allow(clippy::result_large_err, reason = "what comes back is no error, and is tried again")]
    pub(super) fn try_accept(&self, accepted: Accepted) -> Result<(), Accepted> {
        let sent = self.orders.try_send(Order::Accept(self.counted(accepted)));
        match sent.map_err(TrySendError::into_inner) {
            Err(Order::Accept(accepted)) => Err(accepted),
            _ => Ok(()),
        }
    }

    fn counted(&self, accepted: Accepted) -> Accepted {
        Accepted { place: self.load.take(usize::MAX), ..accepted }
    }

    /// A worker that has stopped takes no orders; what it was given is dropped.
    pub(super) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}

/// What a worker is started with.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) rules: Arc<Rules>,
    pub(super) timeouts: Timeouts,
    pub(super) credentials: Credentials,
    /// Whether it must be settled how links log in before any does.
    pub(super) guarded: bool,
    pub(super) sharing: Sharing,
    pub(super) target: Target,
    pub(super) health: Arc<Health>,
    pub(super) shutdown: CancellationToken,
    pub(super) shutdown_timeout: Duration,
    pub(super) stall_timeout: Option<Duration>,
    pub(super) memory: MemoryBudget,
}

/// All that the tasks of a worker share. A task borrows it while it polls, never across an await.
pub(super) struct Worker {
    pub(super) exchange: Exchange,
    pub(super) clients: SecondaryMap<DefaultKey, ClientIo>,
    pub(super) links: SecondaryMap<DefaultKey, LinkIo>,
    /// Sessions of which the log has said nothing yet.
    pub(super) held: SparseSecondaryMap<DefaultKey, Held>,
    /// Where sockets are read to; what is not dealt with at once is copied out.
    pub(super) scratch: Box<[u8]>,
    pub(super) health: Arc<Health>,
    pub(super) target: Target,
    pub(super) metrics: WorkerMetrics,
    pub(super) totals: Totals,
    /// How links log in; they wait until it is known.
    pub(super) standing: watch::Sender<Known>,
    /// The way in which they log in, or did when that was last known.
    pub(super) way: Option<Way>,
    /// The policy, unless the upstream makes part of it needless.
    pub(super) configured_policy: Policy,
    /// Whether the upstream is known to check what `RESTORE` brings.
    pub(super) checks_payloads: bool,
    /// Which scripts run, unless all are withheld.
    pub(super) configured_scripts: Scripts,
    /// Whether no script runs, since Redis would let it run what the policy refuses.
    pub(super) withholds_scripts: bool,
    /// Whether the server does not answer, so that links may have a closed window for long.
    pub(super) upstream_stalls: bool,
    /// How long sessions may take to end when the worker stops.
    pub(super) shutdown_timeout: Duration,
    /// How long a shared link may owe a reply while Redis answers on another; `None` for ever.
    pub(super) stall_timeout: Option<Duration>,
    pub(super) audit_is_full: watch::Receiver<bool>,
    /// Whether no client is read, since what comes of it could not be written to the audit log.
    pub(super) waits_for_audit: bool,
    me: Weak<RefCell<Worker>>,
}

pub(super) type Shared = Rc<RefCell<Worker>>;

/// Runs a worker on this thread until shutdown, and until its sessions have drained. However it
/// ends, the whole proxy ends with it.
///
/// # Errors
/// The system gave no runtime, or no random bytes.
pub(super) fn run(plan: Plan, orders: mpsc::Receiver<Order>, beat: Beat) -> io::Result<()> {
    let _stop_all = plan.shutdown.clone().drop_guard();
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TURN)
        .build_local(LocalOptions::default())?;
    runtime.block_on(work(plan, orders, &beat, key));
    beat.end();
    Ok(())
}

async fn work(plan: Plan, mut orders: mpsc::Receiver<Order>, beat: &Beat, key: [u8; 32]) {
    let shared = Rc::new_cyclic(|me| RefCell::new(Worker::new(&plan, key, me.clone())));
    let mut tick = tokio::time::interval(TICK);
    let mut audit_is_full = audit::full();
    loop {
        tokio::select! {
            biased;
            () = plan.shutdown.cancelled() => break,
            Ok(()) = audit_is_full.changed() => shared.borrow_mut().wait_for_audit(),
            Some(order) = orders.recv() => obey(&shared, order),
            _ = tick.tick() => {
                beat.beat(now());
                shared.borrow_mut().tick();
            }
        }
    }
    orders.close();
    while let Ok(order) = orders.try_recv() {
        obey(&shared, order);
    }
    tokio::time::sleep(LAST_REQUESTS).await;
    let timeout = shared.borrow().shutdown_timeout;
    drain(&shared, timeout, beat).await;
    plan.health.unserved.say_rest();
}

fn obey(shared: &Shared, order: Order) {
    match order {
        Order::Accept(accepted) => client::start(shared, accepted),
        Order::Identity(identity) => {
            shared.borrow_mut().change_rules(|rules| rules.identity = identity);
        }
        Order::Standing(standing) => shared.borrow_mut().stand(&standing),
        Order::Links(news) => shared.borrow_mut().hear(news),
        Order::UpstreamVersion(version) => {
            let mut worker = shared.borrow_mut();
            if worker.exchange.rules().upstream_version != version {
                worker.change_rules(|rules| rules.upstream_version = version);
            }
        }
        Order::ChecksPayloads(checks) => shared.borrow_mut().check_payloads(checks),
        Order::Functions(functions) => shared.borrow_mut().pin(functions),
        Order::Change(change, answer) => {
            let closed = shared.borrow_mut().change(*change);
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(closed);
        }
        Order::Tell(question) => snapshot::answer(shared, question),
    }
}

impl Worker {
    fn new(plan: &Plan, key: [u8; 32], me: Weak<RefCell<Self>>) -> Self {
        let mut exchange = Exchange::new(
            Arc::clone(&plan.rules),
            plan.timeouts,
            plan.credentials.clone(),
            plan.sharing,
            key,
        )
        .counting_links(plan.health.links.budget())
        .counting_memory(&plan.memory);
        exchange.set_max_link_age(plan.target.max_link_age);
        Self {
            exchange,
            clients: SecondaryMap::new(),
            links: SecondaryMap::new(),
            held: SparseSecondaryMap::new(),
            scratch: vec![0; READ_SIZE].into(),
            health: Arc::clone(&plan.health),
            target: plan.target.clone(),
            metrics: WorkerMetrics::default(),
            totals: Totals::default(),
            standing: watch::Sender::new(match plan.guarded {
                true => Known::default(),
                false => Known::configured(),
            }),
            way: (!plan.guarded).then_some(Way::Configured),
            configured_policy: plan.rules.policy.clone(),
            checks_payloads: false,
            configured_scripts: plan.rules.scripts.clone(),
            withholds_scripts: false,
            upstream_stalls: false,
            shutdown_timeout: plan.shutdown_timeout,
            stall_timeout: plan.stall_timeout,
            audit_is_full: audit::full(),
            waits_for_audit: false,
            me,
        }
    }

    /// Puts changed rules in force.
    pub(super) fn change_rules(&mut self, change: impl FnOnce(&mut Rules)) {
        let mut rules = Rules::clone(self.exchange.rules());
        change(&mut rules);
        self.exchange.replace_rules(Arc::new(rules));
        self.settle(None);
    }

    fn tick(&mut self) {
        self.exchange.tick(now());
        if self.exchange.take_read_only() {
            self.health.suspect_role();
        }
        self.close_stalled();
        self.settle(None);
        self.metrics.flush(&mut self.exchange);
        self.log_lasting(now());
    }

    /// Carries out what came of a call into the exchange. `current` is the client whose own task
    /// is running, which looks after itself.
    pub(super) fn settle(&mut self, current: Option<SessionId>) {
        loop {
            if let Some(id) = self.exchange.next_link_to_open() {
                if let Some(me) = self.me.upgrade() {
                    tokio::task::spawn_local(link::drive(me, id));
                }
            } else if let Some(id) = self.exchange.next_touched() {
                if Some(id) != current {
                    self.attend_client(id);
                }
            } else if let Some(id) = self.exchange.next_touched_link() {
                self.attend_link(id);
            } else {
                break;
            }
        }
        self.report();
    }

    /// Forgets a session and closes its socket.
    pub(super) fn close_client(&mut self, id: SessionId) {
        self.exchange.forget(id, now());
        self.settle(Some(id));
        self.clients.remove(id.key());
    }
}

/// The time, by the runtime's clock.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
