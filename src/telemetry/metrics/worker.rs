//! What one worker has counted becomes part of the sums over all workers.

use metrics::{Gauge, counter, gauge, histogram};

use super::names;
use crate::exchange::{Exchange, Pauses};

/// Brings a worker's counts to the recorder; keeps what it has brought.
pub(crate) struct Flush {
    sessions: Level,
    links: Level,
    leases: Level,
    pauses: Pauses,
}

/// One worker's share of a gauge; taken back when dropped.
struct Level {
    gauge: Gauge,
    last: f64,
}

impl Level {
    fn new(gauge: Gauge) -> Self {
        // So that the series is there.
        gauge.increment(0.0);
        Self { gauge, last: 0.0 }
    }

    fn set(&mut self, value: usize) {
        let value = value as f64;
        self.gauge.increment(value - self.last);
        self.last = value;
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.gauge.decrement(self.last);
    }
}

impl Default for Flush {
    fn default() -> Self {
        Self {
            sessions: Level::new(gauge!(names::SESSIONS)),
            links: Level::new(gauge!(names::LINKS)),
            leases: Level::new(gauge!(names::LEASES)),
            pauses: Pauses::default(),
        }
    }
}

impl Flush {
    /// Brings what has been counted since the last call. To be called a few times a second.
    pub(crate) fn flush(&mut self, exchange: &mut Exchange) {
        self.sessions.set(exchange.len());
        self.links.set(exchange.link_count());
        self.leases.set(exchange.lease_count());
        let (pauses, before) = (exchange.pauses(), self.pauses);
        for (limit, more) in [
            ("in_flight", pauses.in_flight.saturating_sub(before.in_flight)),
            ("commands_per_second", pauses.rate.saturating_sub(before.rate)),
        ] {
            counter!(names::SESSION_PAUSES, "limit" => limit).increment(more);
        }
        self.pauses = pauses;
        let tally = exchange.tally();
        let traffic = tally.take_traffic();
        counter!(names::CLIENT_BYTES, "direction" => "in").increment(traffic.client_in);
        counter!(names::CLIENT_BYTES, "direction" => "out").increment(traffic.client_out);
        counter!(names::UPSTREAM_BYTES, "direction" => "in").increment(traffic.upstream_in);
        counter!(names::UPSTREAM_BYTES, "direction" => "out").increment(traffic.upstream_out);
        tally.take_commands(|command, outcome, count| {
            counter!(names::COMMANDS, "command" => command, "outcome" => outcome.as_str())
                .increment(count);
        });
        for sample in tally.take_samples() {
            let class = sample.class.as_str();
            histogram!(names::DURATION, "class" => class, "part" => "redoubt")
                .record(sample.redoubt);
            histogram!(names::DURATION, "class" => class, "part" => "upstream")
                .record(sample.upstream);
        }
    }
}
