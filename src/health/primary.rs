//! Which server is the primary, where there is a choice, and for how long there was none.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::metrics;

/// What is known of the primary.
#[derive(Debug, Default)]
pub(super) struct Primary {
    /// The server; `None` while none is known, or there is no choice.
    node: Option<String>,
    /// The last one that was known.
    last: Option<String>,
    /// Those that have a metric.
    shown: BTreeSet<String>,
    failovers: u64,
    /// Since when none is known.
    missing_since: Option<Instant>,
    /// How long none was known before that.
    missed: Duration,
}

impl Primary {
    /// Most servers that have a metric of their own.
    const MOST_SHOWN: usize = 32;

    /// Notes which server it is from now on.
    pub(super) fn change(&mut self, node: Option<String>, now: Instant) {
        match (&node, self.missing_since) {
            (None, None) => self.missing_since = Some(now),
            (Some(_), Some(since)) => {
                let missed = now.saturating_duration_since(since);
                self.missed = self.missed.saturating_add(missed);
                self.missing_since = None;
            }
            _ => {}
        }
        metrics::primary(node.is_some());
        if let Some(before) = self.node.take_if(|before| Some(&*before) != node.as_ref()) {
            self.show(before, false);
        }
        if let Some(node) = &node {
            if self.last.as_ref().is_some_and(|last| last != node) {
                self.failovers = self.failovers.saturating_add(1);
                metrics::failed_over();
            }
            self.last = Some(node.clone());
            self.show(node.clone(), true);
        }
        self.node = node;
    }

    fn show(&mut self, node: String, is_used: bool) {
        if self.shown.len() < Self::MOST_SHOWN || self.shown.contains(&node) {
            self.shown.insert(node.clone());
            metrics::node(node, is_used);
        }
    }

    /// Returns the server, if it is known and there is a choice.
    pub(super) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Returns whether there is a choice, and none is known.
    pub(super) fn is_missing(&self) -> bool {
        self.missing_since.is_some()
    }

    /// Returns how often another server became the primary.
    pub(super) fn failovers(&self) -> u64 {
        self.failovers
    }

    /// Returns for how long none was known, in total.
    pub(super) fn without(&self, now: Instant) -> Duration {
        let open = self.missing_since.map(|since| now.saturating_duration_since(since));
        self.missed.saturating_add(open.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failovers_and_the_time_without_a_primary_are_counted() {
        let (mut primary, start) = (Primary::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!primary.is_missing(), "there may be no choice");
        primary.change(None, at(0));
        assert!(primary.is_missing());
        primary.change(None, at(1));
        primary.change(Some("a:1".into()), at(3));
        assert_eq!((primary.failovers(), primary.without(at(9)).as_secs()), (0, 3));
        primary.change(None, at(10));
        primary.change(Some("a:1".into()), at(11));
        assert_eq!(primary.failovers(), 0, "the same one is back");
        primary.change(Some("b:1".into()), at(12));
        assert_eq!((primary.failovers(), primary.node()), (1, Some("b:1")));
        assert_eq!(primary.without(at(20)).as_secs(), 4);
        primary.change(None, at(20));
        assert_eq!(primary.without(at(25)).as_secs(), 9);
    }
}
