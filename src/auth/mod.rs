//! Client identities and the constant-time check of what a client claims.
//!
//! Owns: what a right `AUTH` is. Leaves to [`crate::session`]: when it is asked, and what is answered.
//!
//! Invariants: the time of a check depends on the lengths of what the client sent and on nothing
//! that is secret; no type here shows a secret in `Debug`.
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

mod identity;

pub use identity::{CredentialId, DEFAULT_USER, Identity};
