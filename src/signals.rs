//! SIGTERM and SIGINT ask for a stop; a second one ends the process, as it ends Redis
//! when both are SIGINT.

use std::io;
use std::{process, thread};

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, as of Redis after a second SIGINT.
const INSISTED: i32 = 1;

/// Cancels `stop` at the first SIGTERM or SIGINT, and ends the process at the second. Both are
/// handled from the moment this returns.
pub(crate) fn cancel(stop: &CancellationToken) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let stop = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM, stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT, stopping"),
                () = stop.cancelled() => {}
            }
            stop.cancel();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            #[allow(clippy::disallowed_methods, reason = "whoever asks twice wants no wait")]
            process::exit(INSISTED);
        });
    })?;
    Ok(())
}
