//! The pending replies of a session: their order, how each is handled, and what is learned from it.

pub(super) mod counts;
pub(super) mod expect;
pub(super) mod frame;
pub(super) mod maintenance;
pub(super) mod pending;
pub(super) mod pubsub;
pub(super) mod unsent;
