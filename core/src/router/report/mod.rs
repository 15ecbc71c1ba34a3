//! What is told of sessions and links: counts, levels, samples and views.

pub(super) mod counters;
pub(super) mod gauges;
pub(super) mod view;
