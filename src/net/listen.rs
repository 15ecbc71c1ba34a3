//! Opening the listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Endpoint, Listen, Settings};

/// Connections that the kernel holds until they are accepted.
pub(super) const BACKLOG: u16 = 1024;

/// A listening address or the upstream's cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A listener of a kind that is configured and not built yet. Without it clients would find
    /// nobody, and in plain TCP in its place they would speak where others can read.
    #[error("listen = \"{0}\": not supported yet; write host:port")]
    Listener(Listen),
    /// The upstream is to be spoken to in TLS, which is not built yet. In plain TCP in its place,
    /// Redis's password would be sent where others can read.
    #[error("upstream.url of {0}: rediss:// is not supported yet; write redis://")]
    Upstream(Endpoint),
    /// The host name has no address.
    #[error("cannot resolve the listening address {endpoint}")]
    Resolve {
        /// As configured.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was tried.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// As one of these, for the admin port.
    #[error("admin.listen cannot be used: write another address, or \"off\"")]
    Admin(#[source] Box<Self>),
}

impl BindError {
    /// The error, where it is about the admin port.
    pub(super) fn admin(self) -> Self {
        Self::Admin(Box::new(self))
    }
}

/// Listens on every address that is configured; with `reuse_port`, beside other processes that do.
pub(super) fn listen(settings: &Settings) -> Result<Vec<TcpListener>, BindError> {
    listen_on(plain(settings)?, settings.reuse_port)
}

/// Listens on every address of every endpoint.
pub(super) fn listen_on<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    reuse_port: bool,
) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for endpoint in endpoints {
        let addresses = (endpoint.host.as_str(), endpoint.port)
            .to_socket_addrs()
            .map_err(|source| BindError::Resolve { endpoint: endpoint.clone(), source })?;
        for address in addresses {
            let listener = open(address, reuse_port)
                .map_err(|source| BindError::Listen { address, source })?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// The listeners, if all that is configured can be spoken in the way that it is.
fn plain(settings: &Settings) -> Result<Vec<&Endpoint>, BindError> {
    let upstream = &settings.upstream;
    if upstream.tls.is_some() {
        let endpoint = Endpoint { host: upstream.host.clone(), port: upstream.port };
        return Err(BindError::Upstream(endpoint));
    }
    let listeners = settings.listen.iter().map(|listen| match listen {
        Listen::Tcp(endpoint) => Ok(endpoint),
        Listen::Tls(_) | Listen::Unix(_) => Err(BindError::Listener(listen.clone())),
    });
    listeners.collect()
}

fn open(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}
