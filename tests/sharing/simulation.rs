//! Many sessions against a model of Redis, in random schedules from one seed each.
//!
//! Which session sends, how bytes are divided, who reads slowly, which link breaks and what time it is
//! all come from the seed; there is no socket, thread or clock. Every client knows the bytes that it
//! must receive; `simulation/schedule.rs` lists what else is checked after each step. The seed chooses the
//! version of the server, too (`simulation/server.rs`).
//!
//! `REDOUBT_SIM_COUNT` sets how many schedules run, `REDOUBT_SIM_SEED` replays one.

mod client;
mod limits;
mod model;
mod schedule;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use schedule::{Schedule, must_happen};

const COUNT: u64 = 3000;
/// Lines of the trace that are shown.
const SHOWN: usize = 300;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}")))
}

/// Returns the start of every schedule's time. There is no other way to create an instant.
#[allow(
    clippy::disallowed_methods,
    reason = "the instant is only a start of measurement; no code waits for it"
)]
fn start() -> Instant {
    Instant::now()
}

/// Runs one schedule. A failure is reported with its seed and the steps before it.
fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut schedule = Schedule::new(seed, start(), false);
    if catch_unwind(AssertUnwindSafe(|| schedule.run())).is_ok() {
        return schedule.event_counts;
    }
    let mut schedule = Schedule::new(seed, start(), true);
    let failure = catch_unwind(AssertUnwindSafe(|| schedule.run())).err();
    let text = failure.map(|failure| match failure.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().unwrap_or(&"?").to_string(),
    });
    let trace = schedule.trace.unwrap_or_default();
    let shown = trace[trace.len().saturating_sub(SHOWN)..].join("\n  ");
    let text = text.unwrap_or_else(|| "it did not fail again".into());
    panic!("REDOUBT_SIM_SEED={seed} fails:\n  {shown}\n{text}");
}

#[test]
fn simulated_sessions_get_their_own_replies_in_order() {
    if let Some(seed) = variable("REDOUBT_SIM_SEED") {
        run(seed);
        return;
    }
    let count = variable("REDOUBT_SIM_COUNT").unwrap_or(COUNT);
    let mut event_counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..count {
        for (what, times) in run(seed) {
            *event_counts.entry(what).or_default() += times;
        }
    }
    if count >= COUNT {
        for what in must_happen() {
            assert!(
                event_counts.get(what).is_some_and(|times| *times > 0),
                "{what} never happened: {event_counts:?}"
            );
        }
    }
}
