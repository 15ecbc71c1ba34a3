//! How other threads speak to a worker, and what it is started with.

use std::sync::Arc;

use redoubt_core::router::{MemoryBudget, Sharing};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::heartbeat::Heartbeat;
use super::in_force::{Acknowledgement, InForce};
use super::news::LinkNews;
use super::snapshot::Question;
use crate::health::Health;
use crate::net::accepted::Accepted;
use crate::net::load::Load;

/// Orders that may wait for a worker; more make the sender wait.
pub(crate) const ORDERS: usize = 256;

/// A message of another thread to a worker.
pub(crate) enum Order {
    /// Take this client.
    Accept(Accepted),
    /// This is in force from here on. Only the control plane's composer sends it.
    InForce(Arc<InForce>, Option<Acknowledgement>),
    /// What has been found out about links.
    Links(LinkNews),
    /// Tell of yourself.
    Tell(Question),
}

/// How other threads speak to a worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) load: Load,
    pub(crate) heartbeat: Heartbeat,
}

impl WorkerHandle {
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

    /// A worker that has stopped takes no orders; what it was given is dropped.
    pub(crate) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
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
}
