//! Reports on sessions and links: counters, gauges, samples of durations, and views.

pub(super) mod counters;
pub(super) mod gauges;
pub(super) mod view;
