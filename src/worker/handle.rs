//! How other threads speak to a worker, and what it is started with.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redoubt_core::auth::Identity;
use redoubt_core::command::Version;
use redoubt_core::router::{MemoryBudget, Sharing, Timeouts};
use redoubt_core::session::Rules;
use redoubt_core::upstream::Credentials;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::beat::Beat;
use super::change::Change;
use super::news::LinkNews;
use super::snapshot::Question;
use super::standing::Standing;
use crate::health::Health;
use crate::net::accepted::Accepted;
use crate::net::load::Load;
use crate::net::upstream::Target;

/// Orders that may wait for a worker; more make the sender wait.
pub(crate) const ORDERS: usize = 256;

/// What a worker is told by other threads.
pub(crate) enum Order {
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
pub(crate) struct WorkerHandle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) load: Load,
    pub(crate) beat: Beat,
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
    pub(crate) rules: Arc<Rules>,
    pub(crate) timeouts: Timeouts,
    pub(crate) credentials: Credentials,
    /// Whether it must be settled how links log in before any does.
    pub(crate) guarded: bool,
    pub(crate) sharing: Sharing,
    pub(crate) target: Target,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) memory: MemoryBudget,
}
