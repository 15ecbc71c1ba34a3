//! `redoubt serve`: the proxy from its first socket to its last reply.

use std::io;

use redoubt::config::Settings;
use redoubt::net::{BindError, ServeError, Server};
use redoubt::telemetry::LogError;
use redoubt::telemetry::metrics::{self, MetricsError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::signals;

/// Why the proxy did not run, or ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("metrics cannot be recorded")]
    Metrics(#[from] MetricsError),
    #[error("signals cannot be handled")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Serves until SIGTERM or SIGINT, then lets sessions end.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    if settings.metrics {
        metrics::install()?;
    }
    let stop = CancellationToken::new();
    signals::cancel(&stop).map_err(Failure::Signals)?;
    let server = Server::bind(settings)?;
    server.run(stop)?;
    info!("stopped");
    Ok(())
}
