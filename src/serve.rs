//! `redoubt serve`: the proxy from its first socket to its last reply.

use std::io;

use redoubt::audit::{self, AuditError};
use redoubt::config::Settings;
use redoubt::net::{BindError, ServeError, Server};
use redoubt::telemetry::LogError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::signals;

/// Why the proxy did not run, or ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Audit(#[from] AuditError),
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
    let stop = CancellationToken::new();
    signals::cancel(&stop).map_err(Failure::Signals)?;
    let server = Server::bind(settings)?;
    let _audit = audit::init(&settings.audit)?;
    audit::record(audit::Event::started(&settings.to_toml()));
    let served = server.run(stop);
    audit::record(audit::Event::Stopped);
    served?;
    info!("stopped");
    Ok(())
}
