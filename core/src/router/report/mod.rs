//! What is told of sessions and links: counts, levels, samples and views.

pub(super) mod levels;
pub(super) mod tally;
pub(super) mod view;
