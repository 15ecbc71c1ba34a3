//! Who is at the other end of a client's connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A client, as logs and limits know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Over TCP, directly or as a trusted balancer tells it. Never an IPv4 address mapped into IPv6.
    Tcp(SocketAddr),
}

impl Peer {
    /// Its address.
    pub(super) fn ip(&self) -> IpAddr {
        let Self::Tcp(address) = self;
        address.ip()
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Tcp(address) = self;
        address.fmt(f)
    }
}
