//! Replies: where a reply ends, and the little of its content that decides where it goes.

mod element;
mod machine;
mod types;
mod whole;

pub use machine::{Part, ReplyScanner, Scan};
pub use types::{Head, Kind};
pub(crate) use whole::whole;
