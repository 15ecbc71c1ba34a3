//! Opening the listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Endpoint;

/// Connections that the kernel holds until they are accepted.
pub(super) const BACKLOG: u16 = 1024;

/// A listening address cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
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
}

/// Listens on every address of every endpoint; with `reuse_port`, beside other processes that do.
pub(super) fn listen(
    endpoints: &[Endpoint],
    reuse_port: bool,
) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for endpoint in endpoints {
        let addresses = (endpoint.host.as_str(), endpoint.port)
            .to_socket_addrs()
            .map_err(|source| BindError::Resolve { endpoint: endpoint.clone(), source })?;
        for address in addresses {
            let listener = listen_on(address, reuse_port)
                .map_err(|source| BindError::Listen { address, source })?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
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
