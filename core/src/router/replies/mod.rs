//! Replies that links bring: whose each is, and what keeps sessions apart.

pub(super) mod demultiplexer;
pub(super) mod fence;
mod fenced;
pub(super) mod queue;
pub(super) mod renaming;
pub(super) mod shared;
