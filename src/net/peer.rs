//! The address or process at the other end of a client's connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UnixStream;

/// A client as it is named in logs and counted by limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over TCP: the client's address, or the address that a trusted balancer gave for it. Never an
    /// IPv4 address mapped into IPv6.
    Tcp(SocketAddr),
    /// Over a Unix socket, whose file permissions restrict who may connect. Wrong passwords slow
    /// down all connections of a user together, and never lock the user out.
    Unix {
        /// The process that connected, if the system reports it.
        pid: Option<i32>,
        /// The user of that process, if the system reports it.
        uid: Option<u32>,
    },
}

impl Peer {
    /// Returns the IP address; `None` for a Unix socket.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix { .. } => None,
        }
    }

    /// Returns the user of the process at the other end of a Unix socket; `None` for TCP.
    pub(crate) fn user(&self) -> Option<u32> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { uid, .. } => *uid,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl From<&UnixStream> for Peer {
    fn from(stream: &UnixStream) -> Self {
        let credentials = stream.peer_cred().ok();
        Self::Unix {
            pid: credentials.as_ref().and_then(|credentials| credentials.pid()),
            uid: credentials.as_ref().map(|credentials| credentials.uid()),
        }
    }
}

impl fmt::Display for Peer {
    /// `192.0.2.1:5000`, `[2001:db8::1]:5000`, `unix:pid=7:uid=1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { pid, uid } => {
                f.write_str("unix")?;
                pid.iter().try_for_each(|pid| write!(f, ":pid={pid}"))?;
                uid.iter().try_for_each(|uid| write!(f, ":uid={uid}"))
            }
        }
    }
}
