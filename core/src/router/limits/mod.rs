//! Bounds on sessions: memory, turns, and bytes before authentication.

pub(super) mod memory;
pub(super) mod pause;
pub(super) mod turn;
mod unauthenticated;
