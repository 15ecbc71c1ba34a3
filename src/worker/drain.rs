//! The end of a worker's sessions when the worker stops.

use std::time::Duration;

use tracing::{info, warn};

use crate::net::now;
use crate::worker::heartbeat::Heartbeat;
use crate::worker::{Shared, Worker};
use redoubt_core::session::CloseReason;

/// Waits until sessions have received what is due to them, for at most `timeout`.
pub(super) async fn drain(shared: &Shared, timeout: Duration, heartbeat: &Heartbeat) {
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
            worker.clients.follow_audit_log();
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
        close_finished(&mut worker);
    } else {
        info!("all sessions have ended");
    }
}

/// Closes the sockets of all finished sessions.
fn close_finished(worker: &mut Worker) {
    for id in worker.clients.ids() {
        if worker.router.is_finished(id) {
            worker.close_client(id);
        }
    }
}
