//! Bounds on what all sessions take together: links, memory, and the time for which one link may hold
//! others up.
//!
//! At every place and byte, core_links looks at the same bounds.

#[path = "bounds/links.rs"]
mod links;
#[path = "bounds/memory.rs"]
mod memory;
#[path = "bounds/stall.rs"]
mod stall;
