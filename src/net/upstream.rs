//! Connects to the upstream and logs in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::config::Endpoint;
use crate::net::conversation::Conversation;
use crate::net::keepalive::{DeadAfter, watch_over};
use crate::net::options::prepare;
use crate::net::own_end::{OWN_CONNECTIONS, OwnEnd};
use crate::net::stream::Stream;
use crate::net::upstream_error::UpstreamError;
use crate::telemetry::metrics::{Side, tls_handshake};
use crate::tls;
use redoubt_core::upstream::{Credentials, Greeting, Login};

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
    pub(crate) async fn connect(&self) -> Result<(Stream, OwnEnd), UpstreamError> {
        let broken = |source| UpstreamError::Connect { endpoint: self.endpoint.clone(), source };
        let opening = OWN_CONNECTIONS.open();
        let stream = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port))
            .await
            .map_err(broken)?;
        let own_end = stream.local_addr().map(|address| address.to_string());
        let own = OwnEnd::of(opening.opened(own_end.unwrap_or_default()));
        let prepared = prepare(&stream, None).and_then(|()| watch_over(&stream, self.dead_after));
        prepared.map_err(broken)?;
        let Some(tls) = &self.tls else { return Ok((Stream::Tcp(stream), own)) };
        let shaken = tls.connect(stream, &self.endpoint.host).await;
        tls_handshake(Side::Upstream, shaken.is_ok());
        match shaken {
            Ok(stream) => Ok((Stream::Tls(Box::new(stream)), own)),
            Err(source) => Err(UpstreamError::Tls { endpoint: self.endpoint.clone(), source }),
        }
    }

    /// Connects, logs in and asks for the server's version. Has no time limit; the caller sets one.
    /// Cancel safe: the attempt is dropped.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(Conversation, Greeting), UpstreamError> {
        let (stream, own) = self.connect().await?;
        let mut link = Conversation::new(stream, own, self.endpoint.clone());
        let (mut login, request) = Login::asking_version(credentials);
        let greeting = link.exchange(&request, |bytes| login.receive(bytes).transpose()).await;
        let greeting = greeting.map_err(|error| match error {
            UpstreamError::Broken { source, .. }
                if source.kind() == io::ErrorKind::UnexpectedEof =>
            {
                self.ended()
            }
            error => error,
        })??;
        Ok((link, greeting))
    }

    pub(crate) fn timed_out(&self) -> UpstreamError {
        UpstreamError::Timeout { endpoint: self.endpoint.clone(), timeout: self.timeout }
    }

    pub(crate) fn ended(&self) -> UpstreamError {
        UpstreamError::Ended { endpoint: self.endpoint.clone() }
    }
}
