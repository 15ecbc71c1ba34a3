//! The limits on a session without sockets: each at the limit and just below it, and the effect on
//! other sessions.

mod in_flight;
mod output;
mod rate;
mod requests;
mod subscriptions;

use redoubt_core::session::{Limits, Rulebook};

use crate::places::Places;
use support::bench::Bench;

/// Returns sessions that share links, with these limits.
fn limited(change: impl FnOnce(&mut Limits)) -> Places {
    let mut places = Places::new();
    limit(&mut places.bench, change);
    places
}

/// Replaces the limits in force.
fn limit(bench: &mut Bench, change: impl FnOnce(&mut Limits)) {
    let mut rules = redoubt_core::session::Rules::clone(bench.router.rules().strangers());
    change(&mut rules.limits);
    bench.router.replace_rules(std::sync::Arc::new(Rulebook::of_one(std::sync::Arc::new(rules))));
}
