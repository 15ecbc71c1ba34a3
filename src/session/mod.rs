//! One client connection and all that is known of it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod client_reply;
mod due;
mod event;
mod pubsub;

pub use due::{DueQueue, Expect};
pub use event::{CloseReason, Event};
