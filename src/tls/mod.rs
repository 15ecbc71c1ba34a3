//! TLS: certificates and keys from files, handshakes, and what a peer's certificate says.
//!
//! Owns: the library of TLS, which nothing else names; how the files of `[tls]` and of the
//! `upstream.tls_*` keys are read; and taking them up anew while sessions go on. Leaves to others:
//! sockets, time limits, and what is spoken inside.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `certificate in use` | info | `file`, `ends` |
//! | `certificate is over` | warn | `file`, `ended` |
//! | `certificates changed` | info | `keys` |
//! | `certificates cannot be used` | warn | `reason` |
//!
//! Invariants: versions older than 1.2 are not spoken; a peer is never let by because a file could not be
//! read; no error holds anything of a key. The names of a peer are taken from a certificate only
//! after it has been found good.

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

/// The cryptography that everything here uses.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
