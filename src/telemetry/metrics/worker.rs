//! Adds the counts of a worker to the sums over all workers.

use metrics::{Gauge, counter, gauge, histogram};

use super::names;
use redoubt_core::router::{Gauges, Pauses, Router};

/// Adds a worker's counts to the recorder, and remembers what was added.
pub(crate) struct Flush {
    /// `true` if there is a recorder.
    is_on: bool,
    sessions: Level,
    leases: Level,
    links: [Level; 4],
    memory: Level,
    replies_due: Level,
    paused: [Level; 4],
    buffers: [Level; 3],
    pauses: Pauses,
}

/// One worker's share of a gauge; subtracted on drop.
struct Level {
    gauge: Gauge,
    last: f64,
}

impl Level {
    fn new(gauge: Gauge) -> Self {
        // The series exists from the start, with the value 0.
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
        let link = |kind| Level::new(gauge!(names::LINKS, "kind" => kind));
        let paused = |limit| Level::new(gauge!(names::SESSIONS_PAUSED, "limit" => limit));
        let buffer = |buffer| Level::new(gauge!(names::BUFFER_BYTES, "buffer" => buffer));
        Self {
            is_on: super::is_on(),
            sessions: Level::new(gauge!(names::SESSIONS)),
            leases: Level::new(gauge!(names::LEASES)),
            links: ["shared", "leased", "pooled", "opening"].map(link),
            memory: Level::new(gauge!(names::MEMORY)),
            replies_due: Level::new(gauge!(names::REPLIES_DUE)),
            paused: ["in_flight", "commands_per_second", "memory", "room"].map(paused),
            buffers: ["client_input", "client_output", "upstream_output"].map(buffer),
            pauses: Pauses::default(),
        }
    }
}

impl Flush {
    /// Adds what was counted since the last call. Called a few times a second.
    pub(crate) fn flush(&mut self, router: &mut Router) {
        if !self.is_on {
            return;
        }
        self.sessions.set(router.len());
        self.leases.set(router.lease_count());
        self.memory.set(usize::try_from(router.memory()).unwrap_or(usize::MAX));
        self.set_levels(&router.gauges());
        let (pauses, before) = (router.pauses(), self.pauses);
        for (limit, more) in [
            ("in_flight", pauses.in_flight.saturating_sub(before.in_flight)),
            ("commands_per_second", pauses.rate.saturating_sub(before.rate)),
            ("memory", pauses.memory.saturating_sub(before.memory)),
        ] {
            counter!(names::SESSION_PAUSES, "limit" => limit).increment(more);
        }
        self.pauses = pauses;
        let counters = router.counters();
        let traffic = counters.take_traffic();
        counter!(names::CLIENT_BYTES, "direction" => "in").increment(traffic.client_in);
        counter!(names::CLIENT_BYTES, "direction" => "out").increment(traffic.client_out);
        counter!(names::UPSTREAM_BYTES, "direction" => "in").increment(traffic.upstream_in);
        counter!(names::UPSTREAM_BYTES, "direction" => "out").increment(traffic.upstream_out);
        counter!(names::MAINT_NOTIFICATIONS).increment(counters.take_maint_notifications());
        counters.commands().take(|command, outcome, count| {
            counter!(names::COMMANDS, "command" => command, "outcome" => outcome.as_str())
                .increment(count);
        });
        for sample in counters.take_samples() {
            let class = sample.class.as_str();
            histogram!(names::DURATION, "class" => class, "part" => "redoubt")
                .record(sample.redoubt);
            histogram!(names::DURATION, "class" => class, "part" => "upstream")
                .record(sample.upstream);
        }
    }

    fn set_levels(&mut self, levels: &Gauges) {
        let Gauges { links, .. } = levels;
        self.replies_due.set(levels.replies_due);
        let values = [links.shared, links.leased, links.pooled, links.opening];
        set_each(&mut self.links, values);
        let values =
            [levels.paused_in_flight, levels.paused_rate, levels.paused_memory, levels.paused_room];
        set_each(&mut self.paused, values);
        let values = [levels.client_input, levels.client_output, levels.upstream_output];
        set_each(&mut self.buffers, values);
    }
}

fn set_each<const N: usize>(levels: &mut [Level; N], values: [usize; N]) {
    for (level, value) in levels.iter_mut().zip(values) {
        level.set(value);
    }
}
