//! Collects metrics at intervals while the proxy runs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::accept::dispatcher::Dispatcher;
use crate::health::Health;
use crate::health::identities::IdentityUsages;
use crate::telemetry;
use crate::worker::handle::WorkerHandle;

/// Time between two collections of histogram samples and of values that do not belong to a worker.
const METRICS_UPKEEP: Duration = Duration::from_secs(1);

/// Bounds the memory of metrics while nothing scrapes them, and sets the gauges of `dispatcher`, of
/// the identities and of `health`, until `stop`.
pub(super) async fn keep_metrics(
    (dispatcher, usages): (Arc<Dispatcher>, IdentityUsages),
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(METRICS_UPKEEP);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let waiting = |worker: &WorkerHandle| {
            worker.orders.max_capacity().saturating_sub(worker.orders.capacity())
        };
        let orders = dispatcher.workers.iter().map(waiting).sum();
        telemetry::metrics::connections(&dispatcher.limiter, orders, crate::net::now());
        for (name, counts) in usages.counts() {
            telemetry::metrics::identity(&name, &counts);
        }
        health.measure();
        telemetry::metrics::upkeep();
    }
}
