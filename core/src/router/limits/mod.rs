//! Bounds on what sessions take up: memory, turns, and what they may do before they authenticate.

pub(super) mod memory;
pub(super) mod pause;
pub(super) mod turn;
mod unauthenticated;
