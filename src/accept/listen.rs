//! Opening the listening sockets.

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
    pub(crate) fn admin(self) -> Self {
        Self::Admin(Box::new(self))
    }
}

/// A listening socket.
pub(crate) struct Listening {
    pub(crate) socket: Socket<TcpListener, UnixListener>,
    /// Where it listens and what is spoken there, with the port that the system chose.
    pub(crate) at: Listen,
    /// Of a socket in the file system.
    pub(crate) file: Option<SocketFile>,
}

impl Listening {
    /// Its address, unless it is in the file system.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }
}

/// Listens on every address that is configured; with `reuse_port`, beside other processes that do.
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

/// Listens where the admin port is to be.
pub(crate) fn listen_for_admin(endpoint: Option<&Endpoint>) -> Result<Vec<TcpListener>, BindError> {
    let opened = endpoint.map(|endpoint| open_endpoint(endpoint, false, &[]));
    opened.unwrap_or_else(|| Ok(Vec::new()))
}

/// Ports on which some address of IPv4 is listened on by itself.
fn ipv4_ports<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> Vec<u16> {
    let own = endpoints.filter(|endpoint| endpoint.host.parse::<Ipv6Addr>().is_err());
    own.map(|endpoint| endpoint.port).filter(|port| *port != 0).collect()
}

/// Listens on every address of `endpoint`.
///
/// `[::]` takes IPv4 too, whatever the system's `bindv6only` says, unless IPv4 is listened on by
/// itself at the same port (`taken`). `localhost` is loopback of both families whatever the system's
/// table of hosts says; where there is no IPv6, of IPv4 alone.
fn open_endpoint(
    endpoint: &Endpoint,
    reuse_port: bool,
    taken: &[u16],
) -> Result<Vec<TcpListener>, BindError> {
    let failed = |address| move |source| BindError::Listen { address, source };
    if endpoint.host.eq_ignore_ascii_case("localhost") {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port));
        let first = open(four, reuse_port, false).map_err(failed(four))?;
        // Where the system chooses the port, it is the same for both if it can be.
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

/// Returns whether the system has no address of IPv6, or no IPv6.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// With `takes_both`, the unspecified address of IPv6 stands for that of IPv4 too.
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
    fn ports_of_ipv4_are_those_of_all_but_addresses_of_ipv6() {
        let all = ["[::]:1", "0.0.0.0:2", "127.0.0.1:3", "localhost:4", "redoubt:5", "0.0.0.0:0"];
        let all = all.map(endpoint);
        assert_eq!(ipv4_ports(all.iter()), [2, 3, 4, 5]);
    }

    #[test]
    fn localhost_is_both_families_at_one_port() {
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
