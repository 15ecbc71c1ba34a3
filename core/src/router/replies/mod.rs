//! Replies that a shared link brings: whose each is, and what keeps sessions apart.

pub(super) mod fence;
mod fenced;
pub(super) mod shared;
