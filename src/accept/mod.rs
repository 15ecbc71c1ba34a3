//! From a listener to a worker.
//!
//! Owns: listening sockets, the header of a load balancer, and who may come in at all. Leaves to
//! the workers: the TLS handshake, and all that a client says.

pub(crate) mod acceptor;
pub(crate) mod dispatcher;
pub(crate) mod listen;
mod open_files;
mod proxy_protocol;

pub use listen::BindError;
pub use open_files::{TooFewOpenFiles, open_files_needed, raise_open_files, too_few_open_files};
