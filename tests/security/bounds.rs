//! Limits on what all sessions take together: links, memory, and the time for which one link may delay
//! others.
//!
//! `tests/sharing/links` tests the same limits to the byte.

mod links;
mod memory;
mod stall;
