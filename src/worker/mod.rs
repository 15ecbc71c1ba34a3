//! A worker: one thread with its own runtime, sessions and links.
//!
//! Owns: the sockets of its clients and links, and when the core is called. Leaves to
//! [`redoubt_core::router`]: what the bytes mean.
//!
//! Nothing on the way of a request is shared with other workers or locked. Each socket has a task that
//! only polls its worker; a link is written when the clients that were ready in the same turn have
//! spoken, and the replies of one read of a link are written to their clients at once.

mod behind_block;
pub(crate) mod client;
mod drain;
pub(crate) mod handle;
pub(crate) mod heartbeat;
pub(crate) mod in_force;
mod link;
pub(crate) mod link_login;
pub(crate) mod news;
mod report;
mod session_log;
pub(crate) mod snapshot;
mod stall;
pub(crate) mod totals;

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use slotmap::{DefaultKey, SecondaryMap, SparseSecondaryMap};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self};
use tokio::sync::watch;

use self::behind_block::BehindBlock;
use self::drain::drain;
use self::heartbeat::Heartbeat;
use crate::health::Health;
use client::ClientIo;
use link::LinkIo;

use self::handle::{Order, Plan};
use self::in_force::InForce;
use self::session_log::Held;
use self::totals::Totals;
use crate::audit;
use crate::net::now;
use crate::telemetry::metrics::WorkerMetrics;
use redoubt_core::router::{Router, SessionId};

/// Bytes read from a link at once, and at most from a client; see [`Router::read_size`].
const READ_SIZE: usize = 256 << 10;
/// How often time limits of sessions are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a worker that is to stop still takes requests, so that what has arrived is answered: a
/// socket that is closed with bytes unread resets its client, replies and all.
const LAST_REQUESTS: Duration = Duration::from_millis(50);
/// Tasks that run before the system is asked what else has become ready. All sessions of a turn
/// should fit, so that a link is written once for them.
const TURN: u32 = 256;

/// All that the tasks of a worker share. A task borrows it while it polls, never across an await.
pub(crate) struct Worker {
    pub(crate) router: Router,
    pub(crate) clients: SecondaryMap<DefaultKey, ClientIo>,
    pub(crate) links: SecondaryMap<DefaultKey, LinkIo>,
    /// Sessions of which the log has said nothing yet.
    pub(crate) held: SparseSecondaryMap<DefaultKey, Held>,
    /// Sessions that wait for a blocking command while their clients are not read.
    behind_block: BehindBlock,
    /// Where sockets are read to; what is not dealt with at once is copied out.
    pub(crate) scratch: Box<[u8]>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) totals: Totals,
    /// What is in force. Links that wait to log in follow it, so it is replaced only when the router
    /// has the rules and credentials of the new value.
    pub(crate) in_force: watch::Sender<Arc<InForce>>,
    /// Whether the server does not answer, so that links may have a closed window for long.
    pub(crate) upstream_stalls: bool,
    pub(crate) audit_is_full: watch::Receiver<bool>,
    /// Whether no client is read, since what comes of it could not be written to the audit log.
    pub(crate) waits_for_audit: bool,
    me: Weak<RefCell<Worker>>,
}

pub(crate) type Shared = Rc<RefCell<Worker>>;

/// Runs a worker on this thread until shutdown, and until its sessions have drained. However it
/// ends, the whole proxy ends with it.
///
/// # Errors
/// The system gave no runtime, or no random bytes.
pub(crate) fn run(
    plan: Plan,
    orders: mpsc::Receiver<Order>,
    heartbeat: Heartbeat,
) -> io::Result<()> {
    let _stop_all = plan.shutdown.clone().drop_guard();
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TURN)
        .build_local(LocalOptions::default())?;
    runtime.block_on(work(plan, orders, &heartbeat, key));
    heartbeat.end();
    Ok(())
}

async fn work(plan: Plan, mut orders: mpsc::Receiver<Order>, heartbeat: &Heartbeat, key: [u8; 32]) {
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
                heartbeat.beat(now());
                shared.borrow_mut().tick();
            }
        }
    }
    orders.close();
    while let Ok(order) = orders.try_recv() {
        obey(&shared, order);
    }
    tokio::time::sleep(LAST_REQUESTS).await;
    let timeout = shared.borrow().in_force.borrow().shutdown_timeout;
    drain(&shared, timeout, heartbeat).await;
    plan.health.unserved.say_rest();
}

fn obey(shared: &Shared, order: Order) {
    match order {
        Order::Accept(accepted) => client::start(shared, accepted),
        Order::InForce(in_force, acknowledgement) => {
            shared.borrow_mut().put_in_force(in_force, acknowledgement);
        }
        Order::Links(news) => shared.borrow_mut().hear(news),
        Order::Tell(question) => snapshot::answer(shared, question),
    }
}

impl Worker {
    fn new(plan: &Plan, key: [u8; 32], me: Weak<RefCell<Self>>) -> Self {
        let in_force = Arc::clone(&plan.in_force);
        // While it is not known how links log in, none does: they wait.
        let credentials = in_force.login.last.as_ref().map(|login| login.credentials.clone());
        let mut router = Router::new(
            Arc::clone(&in_force.rules),
            in_force.timeouts,
            credentials.unwrap_or_default(),
            plan.sharing,
            key,
        )
        .counting_links(plan.health.links.budget())
        .counting_memory(&plan.memory);
        router.set_max_link_age(in_force.target.max_link_age);
        Self {
            router,
            clients: SecondaryMap::new(),
            links: SecondaryMap::new(),
            held: SparseSecondaryMap::new(),
            behind_block: BehindBlock::default(),
            scratch: vec![0; READ_SIZE].into(),
            health: Arc::clone(&plan.health),
            metrics: WorkerMetrics::default(),
            totals: Totals::default(),
            in_force: watch::Sender::new(in_force),
            upstream_stalls: false,
            audit_is_full: audit::full(),
            waits_for_audit: false,
            me,
        }
    }

    fn tick(&mut self) {
        self.router.tick(now());
        if self.router.take_read_only() {
            self.health.suspect_role();
        }
        self.close_stalled();
        self.end_gone();
        self.settle(None);
        self.metrics.flush(&mut self.router);
        self.log_lasting(now());
    }

    /// Carries out what came of a call into the router. `current` is the client whose own task
    /// is running, which looks after itself.
    pub(crate) fn settle(&mut self, current: Option<SessionId>) {
        loop {
            if let Some(id) = self.router.next_link_to_open() {
                if let Some(me) = self.me.upgrade() {
                    tokio::task::spawn_local(link::drive(me, id));
                }
            } else if let Some(id) = self.router.next_touched() {
                if Some(id) != current {
                    self.attend_client(id);
                }
            } else if let Some(id) = self.router.next_touched_link() {
                self.attend_link(id);
            } else {
                break;
            }
        }
        self.report();
    }

    /// Forgets a session and closes its socket.
    pub(crate) fn close_client(&mut self, id: SessionId) {
        self.router.forget(id, now());
        self.settle(Some(id));
        self.clients.remove(id.key());
        self.behind_block.remove(id);
    }
}
