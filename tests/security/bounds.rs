//! Bounds on what all sessions take together: links, memory, and the time for which one link may hold
//! others up.
//!
//! At every place and byte, `tests/sharing/links` looks at the same bounds.

mod links;
mod memory;
mod stall;
