//! Connections to clients and to Redis, for the workers and the control plane.
//!
//! Owns: sockets of each kind, their options and peers, how Redis is connected to, and the
//! conversations that Redoubt has with Redis for itself. Leaves to the acceptor, the workers and
//! the control plane: when these are used.

pub(crate) mod accepted;
pub(crate) mod conversation;
pub(crate) mod handshake;
pub(crate) mod keepalive;
pub(crate) mod load;
pub(crate) mod options;
pub(crate) mod own_end;
pub(crate) mod peer;
pub(crate) mod refusals;
pub(crate) mod stream;
pub(crate) mod unix;
pub(crate) mod upstream;
pub(crate) mod upstream_error;

use std::time::Instant;

/// Returns the time of the runtime's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
