//! Collects descriptions of sessions for `CLIENT LIST` and `INFO`, in all workers.

use std::sync::Arc;
use std::time::Duration;

use redoubt_core::router::SessionId;
use redoubt_core::session::{ClientLine, Described};
use tokio::sync::mpsc;

use crate::net::now;
use crate::worker::handle::ask;
use crate::worker::snapshot::{Question, look_at};
use crate::worker::{Shared, Worker};

/// How long another worker may take to answer. A worker that takes longer is left out.
const ANSWER: Duration = Duration::from_secs(1);

/// Collects the descriptions for the request of session `id`, which then goes on.
pub(super) async fn collect(shared: Shared, id: SessionId, described: Described) {
    let asking = shared.borrow().line(id);
    let mut lines = match (described, asking) {
        (_, None) => Vec::new(),
        (Described::Itself, Some(own)) => vec![own],
        (Described::All, Some(own)) => {
            let mut lines = lines(&shared, &own.user).await;
            let others = shared.borrow().others.clone();
            for other in others.iter().filter_map(mpsc::WeakSender::upgrade) {
                let question = |reply| Question::Clients(Arc::clone(&own.user), reply);
                lines.extend(ask(&other, ANSWER, question).await.unwrap_or_default());
            }
            lines
        }
    };
    lines.sort_unstable_by_key(|line| line.id);
    let mut worker = shared.borrow_mut();
    worker.router.give_clients(id, lines, now());
    worker.settle(None);
}

/// Returns the descriptions of the sessions of `user` in this worker.
pub(super) async fn lines(shared: &Shared, user: &str) -> Vec<ClientLine> {
    let of_user = |worker: &Worker, id| worker.line(id).filter(|line| *line.user == *user);
    look_at(shared, usize::MAX, of_user).await
}

impl Worker {
    fn line(&self, id: SessionId) -> Option<ClientLine> {
        let line = self.router.client_line(id, now())?;
        let local_address = self.clients.local_address(id)?;
        let peer = self.reports.record(id)?.peer;
        // Redis shows the path of a Unix socket for both ends.
        let address = peer.ip().map_or(local_address.clone(), |_| peer.to_string());
        Some(ClientLine { address, local_address, ..line })
    }
}
