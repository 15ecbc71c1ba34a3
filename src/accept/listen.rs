//! Opens the listening sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use crate::config::{Endpoint, Listen, Settings};
use crate::net::options::BACKLOG;
use crate::net::stream::Socket;
use crate::net::unix::{self, SocketFile};
use crate::tls::TlsError;

/// The reason why an address or a file of the configuration cannot be used; the operator must
/// correct it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The host name cannot be resolved.
    #[error("cannot resolve the listening address {endpoint}")]
    Resolve {
        /// The address as configured.
        endpoint: Endpoint,
        /// The system's error.
        source: io::Error,
    },
    /// The port is in use, or the address does not belong to this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was tried.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The socket is in use, another kind of file has this path, or the directory does not exist.
    #[error("cannot listen on {path:?}")]
    Unix {
        /// The path that was tried.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// One of these errors for the admin port.
    #[error("admin.listen cannot be used: write another address, or \"off\"")]
    Admin(#[source] Box<Self>),
}

impl BindError {
    /// Marks the error as one of the admin port.
    pub(crate) fn admin(self) -> Self {
        Self::Admin(Box::new(self))
    }
}

/// A listening socket.
pub(crate) struct Listening {
    pub(crate) socket: Socket<TcpListener, UnixListener>,
    /// Its address and transport, with the port that the system chose.
    pub(crate) at: Listen,
    /// The file of a Unix socket.
    pub(crate) file: Option<SocketFile>,
}

impl Listening {
    /// Returns its address; `None` for a Unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }
}

/// Listens on every configured address; with `reuse_port`, other processes may use the same
/// addresses.
pub(crate) fn listen(settings: &Settings) -> Result<Vec<Listening>, BindError> {
    let endpoints = settings.listen.iter().filter_map(|listen| match listen {
        Listen::Tcp(endpoint) | Listen::Tls(endpoint) => Some(endpoint),
        Listen::Unix(_) => None,
    });
    let taken = ipv4_ports(endpoints);
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
        for listener in open_endpoint(endpoint, settings.reuse_port, &taken)? {
            let at = match listener.local_addr() {
                Ok(at) => Endpoint { host: at.ip().to_string(), port: at.port() },
                Err(_) => endpoint.clone(),
            };
            all.push(Listening { socket: Socket::Tcp(listener), at: named(at), file: None });
        }
    }
    Ok(all)
}

/// Listens on the address of the admin port, if there is one.
pub(crate) fn listen_for_admin(endpoint: Option<&Endpoint>) -> Result<Vec<TcpListener>, BindError> {
    let opened = endpoint.map(|endpoint| open_endpoint(endpoint, false, &[]));
    opened.unwrap_or_else(|| Ok(Vec::new()))
}

/// Returns the ports on which an IPv4 address is configured to listen.
fn ipv4_ports<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> Vec<u16> {
    let own = endpoints.filter(|endpoint| endpoint.host.parse::<Ipv6Addr>().is_err());
    own.map(|endpoint| endpoint.port).filter(|port| *port != 0).collect()
}

/// Listens on every address of `endpoint`.
///
/// `[::]` accepts IPv4 too, whatever the system's `bindv6only` says, unless an IPv4 address listens
/// on the same port (`taken`). `localhost` is the loopback address of both families, whatever the
/// system's hosts file says; on a system without IPv6, only that of IPv4.
fn open_endpoint(
    endpoint: &Endpoint,
    reuse_port: bool,
    taken: &[u16],
) -> Result<Vec<TcpListener>, BindError> {
    let failed = |address| move |source| BindError::Listen { address, source };
    if endpoint.host.eq_ignore_ascii_case("localhost") {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port));
        let first = open(four, reuse_port, false).map_err(failed(four))?;
        // If the system chooses the port, both families should get the same port.
        let port = first.local_addr().map_err(failed(four))?.port();
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        return match open(six, reuse_port, false) {
            Ok(second) => Ok(vec![first, second]),
            Err(error) if lacks_ipv6(&error) => Ok(vec![first]),
            Err(error) if endpoint.port == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                let any = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
                Ok(vec![first, open(any, reuse_port, false).map_err(failed(any))?])
            }
            Err(error) => Err(failed(six)(error)),
        };
    }
    let addresses = (endpoint.host.as_str(), endpoint.port)
        .to_socket_addrs()
        .map_err(|source| BindError::Resolve { endpoint: endpoint.clone(), source })?;
    let takes_both = !taken.contains(&endpoint.port);
    addresses
        .map(|address| open(address, reuse_port, takes_both).map_err(failed(address)))
        .collect()
}

/// Returns whether the error means that the system has no IPv6 or no IPv6 address.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Listens on `address`. With `takes_both`, the unspecified IPv6 address accepts IPv4 too.
fn open(address: SocketAddr, reuse_port: bool, takes_both: bool) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!(takes_both && address.ip().is_unspecified()))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn ipv4_ports_excludes_endpoints_with_ipv6_addresses() {
        let all = ["[::]:1", "0.0.0.0:2", "127.0.0.1:3", "localhost:4", "redoubt:5", "0.0.0.0:0"];
        let all = all.map(endpoint);
        assert_eq!(ipv4_ports(all.iter()), [2, 3, 4, 5]);
    }

    #[test]
    fn localhost_listens_on_both_families_at_one_port() {
        let listeners = open_endpoint(&endpoint("LocalHost:0"), false, &[]).unwrap();
        let addresses: Vec<_> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        assert!(addresses[0].is_ipv4(), "{addresses:?}");
        if TcpListener::bind("[::1]:0").is_ok() {
            assert!(addresses.len() == 2 && addresses[1].is_ipv6(), "{addresses:?}");
        }
    }
}
