//! Takes connections from the listeners to the workers.
//!
//! Owns: listening sockets, the header of a load balancer, and which connections are admitted.
//! Leaves to the workers: the TLS handshake, and all that clients send.

pub(crate) mod acceptor;
pub(crate) mod dispatcher;
pub(crate) mod listen;
mod open_files;
mod proxy_protocol;

pub use listen::BindError;
pub use open_files::{TooFewOpenFiles, open_files_needed, raise_open_files, too_few_open_files};
