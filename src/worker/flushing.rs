//! Has keys deleted for sessions, in place of `FLUSHDB` and `FLUSHALL`.

use bytes::Bytes;
use redoubt_core::router::SessionId;
use redoubt_core::session::{Flush, Flushed, Program};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::net::now;
use crate::net::peer::Peer;
use crate::worker::{Shared, Worker};

/// Orders that may wait to be taken; a session whose order finds no room gets an error.
pub(crate) const FLUSHES: usize = 256;

const STOPPING: &[u8] = b"-ERR Redoubt is stopping; keys may have been deleted\r\n";
const ENDED: &[u8] = b"-ERR the session has ended\r\n";
/// The error for a session that would be one too many to wait.
pub(crate) const TOO_MANY: &[u8] =
    b"-ERR too many clients wait for FLUSHDB or FLUSHALL; try again later\r\n";

/// An order to delete keys.
pub(crate) struct FlushOrder {
    pub(crate) flush: Flush,
    pub(crate) by: FlushedBy,
    /// Receives the outcome. The session may have ended by then.
    pub(crate) answer: oneshot::Sender<Flushed>,
}

/// The session for which keys are deleted, as logs call it.
pub(crate) struct FlushedBy {
    pub(crate) session: u64,
    pub(crate) peer: Peer,
    pub(crate) user: Option<String>,
    pub(crate) program: Program,
}

/// Has keys deleted for the request of session `id`, which then goes on.
pub(super) async fn delete(shared: Shared, id: SessionId, flush: Flush) {
    let (answer, outcome) = oneshot::channel();
    let flushed = match order(&shared, id, flush, answer) {
        Ok(()) => outcome.await.unwrap_or(Err(Bytes::from_static(STOPPING))),
        Err(error) => Err(error),
    };
    let mut worker = shared.borrow_mut();
    worker.router.give_flushed(id, flushed, now());
    worker.settle(None);
}

fn order(
    shared: &Shared,
    id: SessionId,
    flush: Flush,
    answer: oneshot::Sender<Flushed>,
) -> Result<(), Bytes> {
    let worker = shared.borrow();
    // A session that has ended gets no reply, and nothing is deleted for it.
    let by = worker.flushed_by(id).ok_or(Bytes::from_static(ENDED))?;
    worker.flushes.try_send(FlushOrder { flush, by, answer }).map_err(|error| match error {
        TrySendError::Full(_) => Bytes::from_static(TOO_MANY),
        TrySendError::Closed(_) => Bytes::from_static(STOPPING),
    })
}

impl Worker {
    fn flushed_by(&self, id: SessionId) -> Option<FlushedBy> {
        let view = self.router.view(id, now())?;
        let record = self.reports.record(id)?;
        Some(FlushedBy {
            session: record.number,
            peer: record.peer,
            user: view.user.as_deref().map(str::to_owned),
            program: view.program,
        })
    }
}
