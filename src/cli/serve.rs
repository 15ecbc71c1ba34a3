//! `redoubt serve`: runs the proxy from its first socket to its last reply.

use std::{io, process};

use redoubt::accept::{self, BindError};
use redoubt::audit::{self, AuditError};
use redoubt::config::Settings;
use redoubt::control::{ServeError, Server};
use redoubt::reload::Reloads;
use redoubt::telemetry::LogError;
use redoubt::telemetry::metrics::{self, MetricsError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::signals;

/// The reason why the proxy did not run, or ended without a request to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("cannot record metrics")]
    Metrics(#[from] MetricsError),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// The exit code after a second signal; Redis exits with it after a second SIGINT.
const INSISTED: i32 = 1;

/// Serves until SIGTERM or SIGINT, then waits for sessions to end. A second signal ends the process
/// at once; SIGHUP starts a reload, which reads the configuration from `reloads`.
pub(crate) fn run(settings: &Settings, reloads: Reloads) -> Result<(), Failure> {
    let asks = reloads.clone();
    signals::hang_ups(move || asks.ask()).map_err(Failure::Signals)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    accept::raise_open_files();
    if let Some(warning) = accept::too_few_open_files(settings) {
        warn!("{warning}");
    }
    if settings.metrics {
        metrics::install()?;
    }
    let stop = CancellationToken::new();
    #[allow(
        clippy::disallowed_methods,
        reason = "after a second signal, the process must not wait"
    )]
    let leave = || process::exit(INSISTED);
    signals::cancel(&stop, leave).map_err(Failure::Signals)?;
    let server = Server::bind(settings)?.reloading(reloads);
    let _audit = audit::init(&settings.audit)?;
    audit::record(audit::Event::started(&settings.to_toml()));
    let served = server.run(stop);
    audit::record(audit::Event::Stopped);
    served?;
    info!("stopped");
    Ok(())
}
