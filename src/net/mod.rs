//! Connections: what clients and Redis are connected by, whoever drives them.
//!
//! Owns: sockets of each kind, their options, whom they are connected to, how Redis is dialled, and the
//! conversations that Redoubt has with Redis for itself. Leaves to the acceptor, the workers
//! and the control plane: when.

pub(crate) mod accepted;
pub(crate) mod conversation;
pub(crate) mod handshake;
pub(crate) mod keepalive;
pub(crate) mod load;
pub(crate) mod options;
pub(crate) mod peer;
pub(crate) mod refusals;
pub(crate) mod stream;
pub(crate) mod unix;
pub(crate) mod upstream;

use std::time::Instant;

/// The time, by the runtime's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
