//! Connects to the upstream and logs in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::config::Endpoint;
use crate::net::conversation::Conversation;
use crate::net::keepalive::{DeadAfter, watch_over};
use crate::net::options::prepare;
use crate::net::stream::Stream;
use crate::telemetry::metrics::{Side, tls_handshake};
use crate::tls;
use redoubt_core::upstream::guard::GuardError;
use redoubt_core::upstream::{Credentials, Greeting, Login, LoginError};

/// The reason why a link could not be opened, or why it broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {endpoint}")]
    Connect { endpoint: Endpoint, source: io::Error },
    #[error("TLS handshake with {endpoint} failed")]
    Tls { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout { endpoint: Endpoint, timeout: Duration },
    #[error("the connection to {endpoint} ended while logging in")]
    Ended { endpoint: Endpoint },
    #[error("the connection to {endpoint} broke")]
    Broken { endpoint: Endpoint, source: io::Error },
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl UpstreamError {
    /// Returns whether the upstream was unreachable or silent, in contrast to an error that it
    /// replied.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Tls { .. } => true,
            Self::Ended { .. } | Self::Broken { .. } => true,
            Self::Login(_) | Self::Guard(_) => false,
        }
    }

    /// Returns the error and its causes on one line.
    pub(crate) fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// The address of the upstream, and the options of sockets to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) timeout: Duration,
    pub(crate) dead_after: DeadAfter,
    /// Age at which links are replaced; zero for no limit.
    pub(crate) max_link_age: Duration,
    /// Present if the upstream is connected to in TLS.
    pub(crate) tls: Option<Arc<tls::Client>>,
}

impl Target {
    /// Connects, and performs the TLS handshake if the upstream uses TLS. Has no time limit; the
    /// caller sets one. Cancel safe: the attempt is dropped.
    pub(crate) async fn connect(&self) -> Result<Stream, UpstreamError> {
        let broken = |source| UpstreamError::Connect { endpoint: self.endpoint.clone(), source };
        let stream = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port))
            .await
            .map_err(broken)?;
        let prepared = prepare(&stream, None).and_then(|()| watch_over(&stream, self.dead_after));
        prepared.map_err(broken)?;
        let Some(tls) = &self.tls else { return Ok(Stream::Tcp(stream)) };
        let shaken = tls.connect(stream, &self.endpoint.host).await;
        tls_handshake(Side::Upstream, shaken.is_ok());
        match shaken {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(source) => Err(UpstreamError::Tls { endpoint: self.endpoint.clone(), source }),
        }
    }

    /// Connects, logs in and asks for the server's version. Has no time limit; the caller sets one.
    /// Cancel safe: the attempt is dropped.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(Conversation, Greeting), UpstreamError> {
        let mut link = Conversation::new(self.connect().await?);
        let (mut login, request) = Login::asking_version(credentials);
        let greeting = link.exchange(&request, |bytes| login.receive(bytes).transpose()).await;
        let greeting = greeting.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.ended(),
            _ => UpstreamError::Connect { endpoint: self.endpoint.clone(), source },
        })??;
        Ok((link, greeting))
    }

    /// Returns the error of a link that broke after its login.
    pub(crate) fn broken(&self, source: io::Error) -> UpstreamError {
        UpstreamError::Broken { endpoint: self.endpoint.clone(), source }
    }

    pub(crate) fn timed_out(&self) -> UpstreamError {
        UpstreamError::Timeout { endpoint: self.endpoint.clone(), timeout: self.timeout }
    }

    pub(crate) fn ended(&self) -> UpstreamError {
        UpstreamError::Ended { endpoint: self.endpoint.clone() }
    }
}
