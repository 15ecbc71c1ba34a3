//! Latencies and their report.

use std::time::Duration;

/// Every latency of a run.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns JSON with `rate` and `count` beside the percentiles in milliseconds.
    pub(crate) fn report(mut self, count: usize, elapsed: Duration) -> String {
        self.0.sort_unstable();
        let rate = count as f64 / elapsed.as_secs_f64();
        let [p50, p99, p999] = [0.50, 0.99, 0.999].map(|share| {
            let place = (self.0.len() as f64 * share) as usize;
            let time = self.0.get(place).or(self.0.last()).copied().unwrap_or_default();
            time.as_secs_f64() * 1e3
        });
        format!(
            r#"{{"count":{count},"rate":{rate:.1},"p50":{p50:.4},"p99":{p99:.4},"p999":{p999:.4}}}"#
        )
    }
}
