//! The admin port: health, metrics and insight over HTTP, on a thread of its own.
//!
//! Owns: who may ask, what is asked, and the bounds on both. Leaves to others: what there is to tell.
//!
//! Invariants: no worker waits for it; connections, their lifetime and their requests are bounded;
//! no request body is read; no answer holds a password or what clients store.

mod routes;
mod server;

use std::net::TcpListener;
use std::sync::Arc;
use std::{io, thread};

use tokio_util::sync::CancellationToken;

/// What keeps Redoubt from being ready, a line each.
type Unready = Box<dyn Fn() -> Vec<&'static str> + Send + Sync>;

/// What the admin port tells.
pub(crate) struct Admin {
    /// Asked for `/readyz`.
    pub(crate) unready: Unready,
    /// Whether there are metrics.
    pub(crate) metrics: bool,
}

/// Serves on `listeners`, which do not block, until `stop`.
///
/// # Errors
/// The system gave no runtime or thread.
pub(crate) fn start(
    listeners: Vec<TcpListener>,
    admin: Admin,
    stop: CancellationToken,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(stop.run_until_cancelled(server::serve(listeners, Arc::new(admin))));
    })
}
