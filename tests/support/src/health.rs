//! The admin port's reports on the health of a Redoubt.

use super::http::http_get;
use super::redoubt::Redoubt;
use super::{Deadline, target_is_redis};

impl Redoubt {
    /// Waits until a series is at least `least`.
    #[track_caller]
    pub fn wait_for_metric(&self, series: &str, least: f64) {
        let counted = || self.metric(series) >= least;
        if !target_is_redis() && !Deadline::standard().poll(counted) {
            panic!("{series} is {}", self.metric(series));
        }
    }

    /// Waits until `/readyz` and the metrics report that the upstream accepts Redoubt's login.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        self.wait_for_readiness(200, "ok\n", 1.0);
    }

    /// Waits until they report that the upstream is unavailable.
    #[track_caller]
    pub fn wait_until_unready(&self) {
        self.wait_for_readiness(503, "upstream: ", 0.0);
    }

    /// Waits until `/readyz` reports that clients wait for the audit log.
    #[track_caller]
    pub fn wait_until_clients_wait(&self) {
        let mut answer = Default::default();
        let is_so = Deadline::standard().poll(|| {
            answer = http_get(self.admin(), "/readyz");
            (answer.0, &*answer.2) == (503, "audit: clients wait for the audit log\n")
        });
        assert!(is_so, "{answer:?}");
    }

    #[track_caller]
    fn wait_for_readiness(&self, status: u16, body: &str, up: f64) {
        if target_is_redis() {
            return;
        }
        let mut answer = Default::default();
        let is_so = Deadline::standard().poll(|| {
            answer = http_get(self.admin(), "/readyz");
            answer.0 == status
                && answer.2.starts_with(body)
                && self.metric("redoubt_upstream_up") == up
                && self.metric("redoubt_ready") == up
        });
        assert!(is_so, "{answer:?}\n{}", http_get(self.admin(), "/metrics").2);
    }
}
