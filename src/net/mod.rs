//! Sockets: listener, workers, and the drivers of clients and links.
//!
//! Owns: every socket, thread and timer, and when the core is called. Leaves to [`redoubt_core::router`]:
//! what the bytes mean.
//!
//! One acceptor a listener sees who may come in and hands each client to the worker with the fewest sessions. A worker is a thread with
//! its own runtime, exchange, sessions and links, so nothing on the way of a request is shared or
//! locked. Each socket has a task that only polls its worker; a link is written when the clients
//! that were ready in the same turn have spoken, and the replies of one read of a link are written
//! to their clients at once.

mod accept;
mod ask;
mod beat;
mod certificates;
mod change;
mod client;
mod container;
mod door;
mod drain;
mod functions;
mod guard;
mod handshake;
mod health;
mod insight;
mod limits;
mod link;
mod link_limit;
mod listen;
mod liveness;
mod load;
mod open_files;
mod peer;
mod proxy_protocol;
mod pulse;
mod refusals;
mod report;
mod resettle;
mod secrets;
mod server;
mod snapshot;
mod stall;
mod standing;
mod stream;
mod totals;
mod unix;
mod unserved;
mod upstream;
mod watch;
mod worker;

pub(crate) use insight::Insight;
pub use listen::BindError;
pub use open_files::{TooFewOpenFiles, open_files_needed, raise_open_files, too_few_open_files};
pub use server::{ServeError, Server};
