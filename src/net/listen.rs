//! Opening the listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::stream::Socket;
use super::unix::{self, SocketFile};
use crate::config::{Endpoint, Listen, Settings};
use crate::tls::TlsError;

/// Connections that the kernel holds until they are accepted.
pub(super) const BACKLOG: u16 = 1024;

/// A listening address or the upstream's cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    /// Somebody else listens there, something else is there, or the directory is not.
    #[error("cannot listen on {path:?}")]
    Unix {
        /// What was tried.
        path: PathBuf,
        /// The reason.
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

/// A listening socket.
pub(super) struct Listening {
    pub(super) socket: Socket<TcpListener, UnixListener>,
    /// Where it listens and what is spoken there, with the port that the system chose.
    pub(super) at: Listen,
    /// Of a socket in the file system.
    pub(super) file: Option<SocketFile>,
}

impl Listening {
    /// Its address, unless it is in the file system.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }
}

/// Listens on every address that is configured; with `reuse_port`, beside other processes that do.
pub(super) fn listen(settings: &Settings) -> Result<Vec<Listening>, BindError> {
    let mut all = Vec::new();
    for listen in &settings.listen {
        let (endpoint, named): (_, fn(Endpoint) -> Listen) = match listen {
            Listen::Tcp(endpoint) => (endpoint, Listen::Tcp),
            Listen::Tls(endpoint) => (endpoint, Listen::Tls),
            Listen::Unix(path) => {
                let (listener, file) = unix::listen(path, settings.unix_socket_mode)
                    .map_err(|source| BindError::Unix { path: path.clone(), source })?;
                let socket = Socket::Unix(listener);
                all.push(Listening { socket, at: listen.clone(), file: Some(file) });
                continue;
            }
        };
        for listener in listen_on([endpoint], settings.reuse_port)? {
            let at = match listener.local_addr() {
                Ok(at) => Endpoint { host: at.ip().to_string(), port: at.port() },
                Err(_) => endpoint.clone(),
            };
            all.push(Listening { socket: Socket::Tcp(listener), at: named(at), file: None });
        }
    }
    Ok(all)
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

fn open(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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
