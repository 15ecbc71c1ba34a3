//! Connects to the upstream and logs in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use crate::config::{Endpoint, Node, Servers};
use crate::net::conversation::Conversation;
use crate::net::keepalive::{DeadAfter, watch_over};
use crate::net::options::prepare;
use crate::net::own_end::{OWN_CONNECTIONS, OwnEnd};
use crate::net::stream::Stream;
use crate::net::upstream_error::{NoPrimary, UpstreamError};
use crate::telemetry::metrics::{Side, tls_handshake};
use crate::tls;
use redoubt_core::upstream::{Credentials, Greeting, Login};

/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Where links go, and the options of their sockets.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The servers that are configured.
    pub(crate) servers: Arc<Servers>,
    /// The server; `None` while it is not known which one is the primary.
    pub(crate) node: Option<Node>,
    pub(crate) timeout: Duration,
    /// How long requests wait for a server that can be used, from when the last one was lost.
    pub(crate) failover_timeout: Duration,
    pub(crate) dead_after: DeadAfter,
    /// Age at which links are replaced; zero for no limit.
    pub(crate) max_link_age: Duration,
    /// Present if the upstream is connected to in TLS.
    pub(crate) tls: Option<Arc<tls::Client>>,
}

impl Target {
    /// Connects, and performs the TLS handshake if the upstream uses TLS. Of a name, all addresses are tried
    /// in turn. Has no time limit; the caller sets one. Cancel safe: the attempt is dropped.
    pub(crate) async fn connect(&self) -> Result<(Stream, OwnEnd), UpstreamError> {
        let node = self.node.as_ref().ok_or(UpstreamError::NoPrimary(NoPrimary::NotYet))?;
        let broken = |source| UpstreamError::Connect { node: node.clone(), source };
        let opening = OWN_CONNECTIONS.open();
        let endpoint = match node {
            Node::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(broken)?;
                let own = OwnEnd::of(opening.opened(None));
                return Ok((Stream::Unix(stream), own));
            }
            Node::Tcp(endpoint) => endpoint,
        };
        let stream = self.connect_to_any(endpoint).await.map_err(broken)?;
        let own_end = stream.local_addr().map(|address| address.to_string());
        let own = OwnEnd::of(opening.opened(Some(own_end.unwrap_or_default())));
        let prepared = prepare(&stream, None).and_then(|()| watch_over(&stream, self.dead_after));
        prepared.map_err(broken)?;
        let Some(tls) = &self.tls else { return Ok((Stream::Tcp(stream), own)) };
        let shaken = tls.connect(stream, &endpoint.host).await;
        tls_handshake(Side::Upstream, shaken.is_ok());
        match shaken {
            Ok(stream) => Ok((Stream::Tls(Box::new(stream)), own)),
            Err(source) => Err(UpstreamError::Tls { node: node.clone(), source }),
        }
    }

    /// Connects to the first address of `endpoint` that accepts. Each has its part of the time, so that one which is
    /// silent leaves some for the others.
    async fn connect_to_any(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        let addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await?;
        let addresses: Vec<_> = addresses.take(MOST_ADDRESSES).collect();
        if let [address] = addresses.as_slice() {
            return TcpStream::connect(address).await;
        }
        let parts = u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let limit = self.timeout.checked_div(parts).unwrap_or(self.timeout);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    /// Connects, logs in and asks for the server's version. Has no time limit; the caller sets one.
    /// Cancel safe: the attempt is dropped.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(Conversation, Greeting), UpstreamError> {
        let (stream, own) = self.connect().await?;
        let node = self.node.clone().ok_or(UpstreamError::NoPrimary(NoPrimary::NotYet))?;
        let mut link = Conversation::new(stream, own, node);
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

    /// Returns the server's address, or all that are configured if none is known.
    pub(crate) fn address(&self) -> String {
        self.node.as_ref().map_or_else(|| self.servers.to_string(), ToString::to_string)
    }

    pub(crate) fn timed_out(&self) -> UpstreamError {
        let timed_out = |node| UpstreamError::Timeout { node, timeout: self.timeout };
        self.node.clone().map_or(UpstreamError::NoPrimary(NoPrimary::NotYet), timed_out)
    }

    pub(crate) fn ended(&self) -> UpstreamError {
        self.node.clone().map_or(UpstreamError::NoPrimary(NoPrimary::NotYet), |node| {
            UpstreamError::Ended { node }
        })
    }
}
