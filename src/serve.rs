//! `redoubt serve`: the proxy from its first socket to its last reply.

use std::io;

use redoubt::config::Settings;
use redoubt::telemetry::LogError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

// The server's one way into the program. Once `redoubt::net` has it:
// pub(crate) use redoubt::net::{BindError, ServeError, Server};
pub(crate) use self::placeholder::{BindError, ServeError, Server};

use crate::signals;

/// Why the proxy did not run, or ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Log(#[from] LogError),
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
    for address in server.local_addrs() {
        info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
    server.run(stop)?;
    info!("stopped");
    Ok(())
}

/// Holds the server's place until the network half is there.
mod placeholder {
    use std::net::SocketAddr;

    use redoubt::config::Settings;
    use tokio_util::sync::CancellationToken;

    #[derive(Debug, thiserror::Error)]
    #[error("this build has no network half")]
    pub(crate) struct BindError;

    #[derive(Debug, thiserror::Error)]
    #[error("this build has no network half")]
    pub(crate) struct ServeError;

    pub(crate) struct Server;

    impl Server {
        pub(crate) fn bind(_settings: &Settings) -> Result<Self, BindError> {
            Err(BindError)
        }

        pub(crate) fn local_addrs(&self) -> &[SocketAddr] {
            &[]
        }

        pub(crate) fn run(self, _stop: CancellationToken) -> Result<(), ServeError> {
            Err(ServeError)
        }
    }
}
