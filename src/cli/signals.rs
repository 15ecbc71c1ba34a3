//! Handles signals: SIGTERM and SIGINT stop Redoubt, and a second one ends it without waiting.
//! SIGHUP starts a reload. SIGXFSZ is ignored: the write beyond the limit returns an error of its
//! own.

use std::io;
use std::thread;

use rustix::process::Signal;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Calls `reload` at each SIGHUP, which no longer ends the process once this function has returned.
pub(crate) fn hang_ups(reload: impl Fn() + Send + 'static) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut hang_ups = {
        let _context = runtime.enter();
        signal(SignalKind::hangup())?
    };
    thread::Builder::new().name("hangups".to_owned()).spawn(move || {
        runtime.block_on(async {
            while hang_ups.recv().await.is_some() {
                tracing::info!("SIGHUP received; reading the configuration again");
                reload();
            }
        });
    })?;
    Ok(())
}

/// Cancels `stop` at the first SIGTERM or SIGINT, and calls `insisted` at the second. Both are
/// handled from the moment this function returns.
pub(crate) fn cancel(
    stop: &CancellationToken,
    insisted: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        // By default, SIGXFSZ ends the process when a file reaches the largest size that the system
        // allows.
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
