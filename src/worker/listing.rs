//! Collects descriptions of sessions for `CLIENT LIST` and `INFO`, and ends sessions for `CLIENT KILL`, in all
//! workers.

use std::sync::Arc;
use std::time::Duration;

use redoubt_core::router::SessionId;
use redoubt_core::session::{ClientLine, Described, Given};
use tokio::sync::{mpsc, oneshot};

use crate::net::now;
use crate::worker::handle::ask;
use crate::worker::snapshot::{Question, look_at};
use crate::worker::{Shared, Worker};

/// How long another worker may take to answer. A worker that takes longer is left out.
const ANSWER: Duration = Duration::from_secs(1);

/// Does what the request of session `id` waits for, which then goes on.
pub(super) async fn collect(shared: Shared, id: SessionId, described: Described) {
    let asking = shared.borrow().line(id);
    let given = match (described, asking) {
        (_, None) => Given::Clients(Vec::new()),
        (Described::Itself, Some(own)) => Given::Clients(vec![own]),
        (Described::All, Some(_)) => {
            let mut lines = lines(&shared).await;
            lines.extend(ask_others(&shared, Question::Clients).await.into_iter().flatten());
            lines.sort_unstable_by_key(|line| line.id);
            Given::Clients(lines)
        }
        (Described::Ended(mut numbers), Some(own)) => {
            let all = numbers.len();
            // It ends with its reply.
            numbers.retain(|number| *number != own.id);
            let itself = numbers.len() < all;
            let numbers: Arc<[i64]> = numbers.into();
            let mut count = end(&shared, &numbers);
            let question = |reply| Question::End(Arc::clone(&numbers), reply);
            count += ask_others(&shared, question).await.into_iter().sum::<usize>();
            Given::Ended { count: count + usize::from(itself), itself }
        }
    };
    let mut worker = shared.borrow_mut();
    worker.router.give_clients(id, given, now());
    worker.settle(None);
}

/// Asks all other workers. A worker that does not answer in time is left out.
async fn ask_others<T>(
    shared: &Shared,
    question: impl Fn(oneshot::Sender<T>) -> Question,
) -> Vec<T> {
    let others = shared.borrow().others.clone();
    let mut answers = Vec::with_capacity(others.len());
    for other in others.iter().filter_map(mpsc::WeakSender::upgrade) {
        answers.extend(ask(&other, ANSWER, &question).await);
    }
    answers
}

/// Ends the sessions of this worker with these numbers. Returns how many have been ended.
pub(super) fn end(shared: &Shared, numbers: &[i64]) -> usize {
    let mut worker = shared.borrow_mut();
    let count = worker.router.end_clients(numbers);
    worker.settle(None);
    count
}

/// Returns the descriptions of the sessions in this worker that have authenticated.
pub(super) async fn lines(shared: &Shared) -> Vec<ClientLine> {
    look_at(shared, usize::MAX, Worker::line).await
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
