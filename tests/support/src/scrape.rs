//! The metrics on Redoubt's admin port.

use super::http::http_get;
use super::{Deadline, Redoubt};

impl Redoubt {
    /// Returns all metrics, over HTTP.
    pub fn scrape(&self) -> String {
        let (status, headers, body) = http_get(self.admin(), "/metrics");
        assert_eq!(status, 200, "{headers}");
        assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
        body
    }

    /// Returns the present value of a series with these labels; 0 if it does not exist.
    pub fn metric(&self, series: &str) -> f64 {
        value(&self.scrape(), series)
    }

    /// Waits until a series is `wanted`.
    #[track_caller]
    pub fn metric_becomes(&self, series: &str, wanted: f64) {
        Deadline::standard().poll(|| self.metric(series) == wanted);
        assert_eq!(self.metric(series), wanted, "{series}");
    }
}

/// Returns the value of a series in the scrape; 0 if it does not exist.
pub fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
