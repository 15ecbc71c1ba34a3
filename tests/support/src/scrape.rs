//! What Redoubt's admin port tells Prometheus.

use super::http::http_get;
use super::{Deadline, Redoubt};

impl Redoubt {
    /// All metrics, over HTTP.
    pub fn scrape(&self) -> String {
        let (status, headers, body) = http_get(self.admin(), "/metrics");
        assert_eq!(status, 200, "{headers}");
        assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
        body
    }

    /// The value of a series, labels and all, now; 0 when it is not there.
    pub fn metric(&self, series: &str) -> f64 {
        value(&self.scrape(), series)
    }

    /// Waits until a series is `wanted`.
    #[track_caller]
    pub fn metric_becomes(&self, series: &str, wanted: f64) {
        Deadline::patient().poll(|| self.metric(series) == wanted);
        assert_eq!(self.metric(series), wanted, "{series}");
    }
}

/// The value of a series as the scrape writes it; 0 when it is not there.
pub fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
