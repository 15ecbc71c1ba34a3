//! SIGTERM and SIGINT ask for a stop; a second one says that it is not to be waited for. SIGHUP asks for a
//! reload. SIGXFSZ says nothing: the write that was too much has its own error.

use std::io;
use std::thread;

use rustix::process::Signal;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Calls `reload` at each SIGHUP, which ends the process no more once this returns.
pub(crate) fn hang_ups(reload: impl Fn() + Send + 'static) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut hang_ups = {
        let _context = runtime.enter();
        signal(SignalKind::hangup())?
    };
    thread::Builder::new().name("hangups".to_owned()).spawn(move || {
        runtime.block_on(async {
            while hang_ups.recv().await.is_some() {
                tracing::info!("SIGHUP, reading the configuration again");
                reload();
            }
        });
    })?;
    Ok(())
}

/// Cancels `stop` at the first SIGTERM or SIGINT, and calls `insisted` at the next. Both are handled
/// from the moment this returns.
pub(crate) fn cancel(
    stop: &CancellationToken,
    insisted: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        // It would end the process, where a file is at the largest size that the system allows.
        drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?);
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
            insisted();
        });
    })?;
    Ok(())
}
