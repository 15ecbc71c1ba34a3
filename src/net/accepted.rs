//! A client that the acceptor hands to a worker.

use std::time::Instant;

use redoubt_core::auth::Permit;

use super::handshake::Handshake;
use super::load::Place;
use super::peer::Peer;
use super::stream::Passed;

/// A client that was accepted and has no session yet.
pub(crate) struct Accepted {
    pub(crate) stream: Passed,
    /// Present if a TLS handshake must precede the session.
    pub(crate) handshake: Option<Handshake>,
    pub(crate) peer: Peer,
    pub(crate) permit: Permit,
    /// When the client connected.
    pub(crate) at: Instant,
    /// Counts the client among the worker's sessions; `None` until a worker is chosen.
    pub(crate) place: Option<Place>,
}
