//! Who is at the other end of a client's connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UnixStream;

/// A client, as logs and limits know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over TCP, directly or as a trusted balancer tells it. Never an IPv4 address mapped into IPv6.
    Tcp(SocketAddr),
    /// Over a socket in the file system, whose permissions say who may connect. Those of one user
    /// are slowed down together by wrong passwords, and never locked out.
    Unix {
        /// The process that has connected, where the system tells.
        pid: Option<i32>,
        /// Its user, where the system tells.
        uid: Option<u32>,
    },
}

impl Peer {
    /// Its address, if it has one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix { .. } => None,
        }
    }

    /// The user of its process, if it has connected to a socket in the file system.
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
        let told = stream.peer_cred().ok();
        Self::Unix {
            pid: told.as_ref().and_then(|told| told.pid()),
            uid: told.as_ref().map(|told| told.uid()),
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
