//! TLS: certificates and keys from files, handshakes, and the names in certificates of peers.
//!
//! Owns: the TLS library, which nothing else names; how the files of `[tls]` and of the
//! `upstream.tls_*` keys are read; and reading them again while sessions continue. Leaves to
//! others: sockets, time limits, and the protocol inside.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `certificate in use` | info | `file`, `ends` |
//! | `certificate has expired` | warn | `file`, `ended` |
//! | `certificates changed` | info | `keys` |
//! | `certificates cannot be used` | warn | `reason` |
//!
//! Invariants: versions older than 1.2 are not used; an unreadable file never weakens the
//! verification of a peer; no error holds anything of a key. The name of a peer is taken from a
//! certificate only after the certificate was verified.

mod anybody;
mod client;
mod current;
mod error;
mod files;
mod peer;
mod server;
mod stream;

pub use client::{Client, FreshClient};
pub use error::{FileProblem, TlsError};
pub use server::{FreshServer, Server};
pub use stream::Stream;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// Returns the cryptography that all TLS here uses.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
