//! The admin port: health, metrics and insight over HTTP, on a thread of its own.
//!
//! Owns: who may send requests, the paths, and the bounds on both. Leaves to [`crate::insight`] and
//! [`crate::telemetry`]: the contents of the responses.
//!
//! Invariants: no worker waits for the admin port; connections, their lifetime and their requests
//! are bounded; no request body is read; no response holds a password or what clients store; only
//! programs on this machine learn about sessions, and no web page does.

mod access;
mod caller;
mod grants;
mod reload;
mod routes;
mod server;

use std::net::TcpListener;
use std::sync::Arc;
use std::{io, thread};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::grants::GrantSender;
use crate::insight::Insight;
use crate::reload::ReloadSender;

/// What the admin port needs to answer requests.
pub(crate) struct Admin {
    pub(crate) insight: Insight,
    /// `true` if metrics are recorded and served.
    pub(crate) metrics: bool,
    /// Locked while a list of sessions is made: each list takes memory, so only one is made at a
    /// time.
    pub(crate) listing_sessions: Mutex<()>,
    /// Requests for a reload go here.
    pub(crate) reload: ReloadSender,
    /// Requests about grants go here.
    pub(crate) grants: GrantSender,
}

/// Serves on `listeners`, which must be non-blocking, until `stop` is cancelled.
///
/// # Errors
/// The system provided no runtime or thread.
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
