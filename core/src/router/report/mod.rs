//! Reports on sessions and links: counters, events, gauges, samples of durations, and views.

pub(super) mod counters;
pub(super) mod event;
pub(super) mod gauges;
pub(super) mod view;
