//! A client between the acceptor and its worker.

use std::time::Instant;

use redoubt_core::auth::Permit;

use super::handshake::Handshake;
use super::load::Place;
use super::peer::Peer;
use super::stream::Passed;

/// A client on its way to a worker.
pub(crate) struct Accepted {
    pub(crate) stream: Passed,
    /// Present if hands are to be shaken before it becomes a session.
    pub(crate) handshake: Option<Handshake>,
    pub(crate) peer: Peer,
    pub(crate) permit: Permit,
    /// When it connected.
    pub(crate) at: Instant,
    /// Its place among the worker's sessions, once there is a worker.
    pub(crate) place: Option<Place>,
}
