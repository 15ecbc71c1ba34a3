//! The replies that a session is owed: their order, what each is for, and what is learned from it.

pub(super) mod counts;
pub(super) mod expect;
pub(super) mod frame;
pub(super) mod pending;
pub(super) mod plain;
pub(super) mod pubsub;
pub(super) mod unsent;
