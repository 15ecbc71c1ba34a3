//! Reaching the upstream: connecting, and the watch that keeps one link of its own open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::accept::prepare;
use super::health::Health;
use super::worker::{Order, WorkerHandle};
use crate::config::Endpoint;
use crate::upstream::{Credentials, Greeting, Login, LoginError};

/// Why a link could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {endpoint}")]
    Connect { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout { endpoint: Endpoint, timeout: Duration },
    #[error("the connection to {endpoint} ended while logging in")]
    Ended { endpoint: Endpoint },
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl UpstreamError {
    /// The error with its cause, on one line.
    pub(super) fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// Where links go, and with what socket options.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) timeout: Duration,
    pub(super) keepalive: Option<Duration>,
}

impl Target {
    /// Connects. Not bounded in time; the caller does that. Cancel safe: the attempt is dropped.
    pub(super) async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let broken = |source| UpstreamError::Connect { endpoint: self.endpoint.clone(), source };
        let stream = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port))
            .await
            .map_err(broken)?;
        prepare(&stream, self.keepalive).map_err(broken)?;
        Ok(stream)
    }

    /// Connects and logs in. Not bounded in time; cancel safe, as [`Target::connect`].
    pub(super) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(TcpStream, Greeting), UpstreamError> {
        let broken = |source| UpstreamError::Connect { endpoint: self.endpoint.clone(), source };
        let mut stream = self.connect().await?;
        let (mut login, request) = Login::asking_version(credentials);
        stream.write_all(&request).await.map_err(broken)?;
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await.map_err(broken)? {
                0 => return Err(self.ended()),
                len => {
                    let received = buffer.get(..len).unwrap_or_default();
                    if let Some(greeting) = login.receive(received)? {
                        return Ok((stream, greeting));
                    }
                }
            }
        }
    }

    pub(super) fn timed_out(&self) -> UpstreamError {
        UpstreamError::Timeout { endpoint: self.endpoint.clone(), timeout: self.timeout }
    }

    pub(super) fn ended(&self) -> UpstreamError {
        UpstreamError::Ended { endpoint: self.endpoint.clone() }
    }
}

/// Keeps one link open all the time, to know whether the upstream is there and which version it is.
pub(super) struct Watch {
    pub(super) target: Target,
    /// Those of now; a change cuts a wait short.
    pub(super) credentials: watch::Receiver<Credentials>,
    pub(super) health: Arc<Health>,
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) shutdown: CancellationToken,
}

impl Watch {
    /// First wait after a failed try; doubled each time.
    const FIRST_WAIT: Duration = Duration::from_millis(100);
    /// Longest wait between tries.
    const LONGEST_WAIT: Duration = Duration::from_secs(5);

    pub(super) async fn run(self) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        let mut wait = Self::FIRST_WAIT;
        let mut credentials = self.credentials.clone();
        loop {
            let current = credentials.borrow_and_update().clone();
            match tokio::time::timeout(self.target.timeout, self.target.log_in(&current)).await {
                Ok(Ok((stream, greeting))) => {
                    wait = Self::FIRST_WAIT;
                    self.health.up(greeting.version);
                    for worker in &self.workers {
                        worker.order(Order::UpstreamVersion(greeting.version)).await;
                    }
                    until_closed(stream).await;
                    debug!("the watch's link ended");
                    continue;
                }
                Ok(Err(error)) => self.health.down(&error),
                Err(_) => self.health.down(&self.target.timed_out()),
            }
            // Jitter keeps many sidecars from knocking at the same moment. A client's own failed
            // try may cut a wait short, but not the shortest.
            tokio::time::sleep(jittered(Self::FIRST_WAIT)).await;
            tokio::select! {
                () = tokio::time::sleep(jittered(wait)) => {}
                () = self.health.suspected() => {}
                Ok(()) = credentials.changed() => {}
            }
            wait = (wait * 2).min(Self::LONGEST_WAIT);
        }
    }
}

/// Returns when the peer has closed or broken the connection; what it sends is dropped.
async fn until_closed(mut stream: TcpStream) {
    let mut buffer = [0; 512];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

/// Half of `wait` to all of it.
fn jittered(wait: Duration) -> Duration {
    let share = (super::server::random() % 1024) as u32;
    wait / 2 + wait / 2 * share / 1024
}
