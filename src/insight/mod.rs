//! Collects what a running proxy reports about itself.

mod refused;
mod sessions;
mod stats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::accept::dispatcher::Dispatcher;
use crate::health::Health;
use crate::health::identities::IdentityUsages;
use crate::learn::Learning;
use crate::net::now;
use crate::net::upstream::Target;
use crate::worker::handle::WorkerHandle;

/// A worker whose loop has not run for this time counts as stuck; the loop runs at least every 200
/// ms.
const STUCK: Duration = Duration::from_secs(10);
/// How long a worker may take for an answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Collects answers of the workers and the health of the upstream.
pub(crate) struct Insight {
    pub(crate) health: Arc<Health>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) identities: IdentityUsages,
    pub(crate) target: watch::Receiver<Target>,
    pub(crate) learning: Learning,
    pub(crate) start: Instant,
}

impl Insight {
    /// Returns the reasons why Redoubt is not alive, a line for each worker that is stuck.
    pub(crate) fn unlive(&self) -> Vec<String> {
        stuck(&self.dispatcher.workers, now())
    }

    /// Returns the reasons why Redoubt is not ready, a line for each.
    pub(crate) fn unready(&self) -> Vec<String> {
        self.health.unready().into_iter().map(str::to_owned).collect()
    }
}

fn stuck(workers: &[WorkerHandle], now: Instant) -> Vec<String> {
    let silences = workers.iter().map(|worker| worker.heartbeat.silence(now)).enumerate();
    let stuck = silences.filter(|(_, silence)| *silence > STUCK);
    stuck
        .map(|(index, silence)| format!("worker-{index}: stuck for {} s", silence.as_secs()))
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::net::load::Load;
    use crate::worker::heartbeat::Heartbeat;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn stuck_worker_is_named() {
        let start = Instant::now();
        let worker = || WorkerHandle {
            orders: mpsc::channel(1).0,
            load: Load::default(),
            heartbeat: Heartbeat::new(start),
        };
        let workers = [worker(), worker()];
        workers[0].heartbeat.beat(start + Duration::from_secs(3));
        assert!(stuck(&workers, start + STUCK).is_empty());
        let later = start + STUCK + Duration::from_secs(2);
        assert_eq!(stuck(&workers, later), ["worker-1: stuck for 12 s"]);
    }
}
