//! How other threads speak to a worker, and what it is started with.

use std::sync::Arc;
use std::time::Duration;

use redoubt_core::observe::ScriptsSeen;
use redoubt_core::router::{MemoryBudget, Sharing};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::flushing::FlushOrder;
use super::heartbeat::Heartbeat;
use super::in_force::{Acknowledgement, InForce};
use super::snapshot::Question;
use crate::config::milliseconds;
use crate::health::Health;
use crate::learn::Learning;
use crate::net::accepted::Accepted;
use crate::net::load::Load;

/// Orders that may wait for a worker; more make the sender wait.
pub(crate) const ORDERS: usize = 256;

/// A message of another thread to a worker.
pub(crate) enum Order {
    /// Make this connection a session.
    Accept(Accepted),
    /// Put this value in force. Only the control plane's composer sends it.
    InForce(Arc<InForce>, Option<Acknowledgement>),
    /// Act on what has been found out about links.
    Links(LinkNews),
    /// Notify clients that they are to reconnect.
    Move(Move),
    /// Answer this.
    Question(Question),
}

/// What the watch of the upstream has found out about links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkNews {
    /// The server does not answer, or does again.
    Stalls(bool),
    /// The host has acknowledged nothing for this long: links that are older are of no use.
    Silent(Duration),
    /// The server that is found at the address is another than the links go to.
    Elsewhere,
    /// The same, and the server that the links go to is a replica.
    Demoted,
}

/// The end of clients' connections, of which clients are notified that have asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    /// The number of the notification, by which client libraries know the moves apart.
    pub(crate) number: u64,
    /// Seconds that remain. Clients connect again when half of them have passed.
    pub(crate) seconds: u32,
}

/// Has `workers` notify the clients that have asked for maintenance notifications that their connections end when
/// `remaining` has passed. Does nothing if that is less than a second.
pub(crate) async fn announce_move(workers: &[WorkerHandle], remaining: Duration) {
    let seconds = u32::try_from(remaining.as_secs()).unwrap_or(u32::MAX);
    if seconds == 0 {
        return;
    }
    // The time of day, so that a successor of this process uses no number twice.
    let moving = Move { number: milliseconds(), seconds };
    for worker in workers {
        worker.order(Order::Move(moving)).await;
    }
}

/// How other threads speak to a worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) load: Load,
    pub(crate) heartbeat: Heartbeat,
}

impl WorkerHandle {
    /// Gives the worker a client; waits while too many orders wait.
    pub(crate) async fn accept(&self, accepted: Accepted) {
        self.order(Order::Accept(self.counted(accepted))).await;
    }

    /// As [`WorkerHandle::accept`]; gives the client back when too many orders wait.
    #[allow(clippy::result_large_err, reason = "what comes back is no error, and is tried again")]
    pub(crate) fn try_accept(&self, accepted: Accepted) -> Result<(), Accepted> {
        let sent = self.orders.try_send(Order::Accept(self.counted(accepted)));
        match sent.map_err(TrySendError::into_inner) {
            Err(Order::Accept(accepted)) => Err(accepted),
            _ => Ok(()),
        }
    }

    fn counted(&self, accepted: Accepted) -> Accepted {
        Accepted { place: Some(self.load.take()), ..accepted }
    }

    /// Gives the worker an order; waits while too many orders wait. A worker that has stopped takes none,
    /// and the order is dropped.
    pub(crate) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}

/// Asks the worker that takes `orders`. Returns `None` if it does not answer within `limit`.
pub(crate) async fn ask<T>(
    orders: &mpsc::Sender<Order>,
    limit: Duration,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        orders.send(Order::Question(question(reply))).await.ok()?;
        answer.await.ok()
    };
    timeout(limit, asked).await.ok().flatten()
}

/// What a worker is started with.
#[derive(Clone)]
pub(crate) struct Plan {
    /// What is in force until the first order changes it.
    pub(crate) in_force: Arc<InForce>,
    pub(crate) sharing: Sharing,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) memory: MemoryBudget,
    /// The workers besides the one that this is for. They end on their own, whoever can still send to them.
    pub(crate) others: Vec<mpsc::WeakSender<Order>>,
    /// Where what sessions did is kept.
    pub(crate) learning: Learning,
    /// The scripts that sessions of all workers have sent.
    pub(crate) scripts: ScriptsSeen,
    /// Who deletes keys for sessions.
    pub(crate) flushes: mpsc::Sender<FlushOrder>,
}
