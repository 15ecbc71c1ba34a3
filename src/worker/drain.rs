//! The end of a worker's sessions.

use std::time::Duration;

use tracing::{info, warn};

use crate::net::now;
use crate::worker::heartbeat::Heartbeat;
use crate::worker::{Shared, Worker};
use redoubt_core::router::SessionId;
use redoubt_core::session::CloseReason;

/// Lets sessions finish what is due to them, for at most `timeout`.
pub(crate) async fn drain(shared: &Shared, timeout: Duration, heartbeat: &Heartbeat) {
    {
        let mut worker = shared.borrow_mut();
        worker.router.drain();
        worker.router.leave_waiting();
        worker.settle(None);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let drained = tokio::time::timeout(timeout, async {
        while !shared.borrow().router.is_empty() {
            tick.tick().await;
            heartbeat.beat(now());
            let mut worker = shared.borrow_mut();
            worker.wait_for_audit();
            worker.router.leave_waiting();
            worker.settle(None);
        }
    });
    if drained.await.is_err() {
        let mut worker = shared.borrow_mut();
        let left = worker.router.len();
        warn!(sessions = left, "shutdown_timeout passed; closing what is left");
        worker.router.abort_all(CloseReason::Shutdown);
        worker.settle(None);
        worker.close_finished();
    } else {
        info!("all sessions have ended");
    }
}

impl Worker {
    /// Closes the sockets of all finished sessions.
    fn close_finished(&mut self) {
        let ids: Vec<_> = self.clients.keys().map(SessionId::from_key).collect();
        for id in ids {
            if self.router.is_finished(id) {
                self.close_client(id);
            }
        }
    }
}
