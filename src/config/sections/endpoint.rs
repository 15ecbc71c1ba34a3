//! Where servers are: `host:port`, or the path of a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::super::secrets::is_host_byte;

/// What is encoded in the path of a URL, so that the URL is read as it was, and stays on one line of the log.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b',').add(b' ').add(b'"');

/// A host and a port: `127.0.0.1:6380`, `[::1]:6380`, `redis:6379`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where one server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// At a host and port.
    Tcp(Endpoint),
    /// At a Unix socket with this path.
    Unix(PathBuf),
}

impl Node {
    /// Returns the host, if it has one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp(endpoint) => Some(&endpoint.host),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => {
                let path = path.as_os_str().as_encoded_bytes();
                write!(f, "unix://{}", percent_encode(path, ENCODED))
            }
        }
    }
}

/// Which servers are behind Redoubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// These: of several the first that is a primary, a single one whatever it is.
    Nodes(Vec<Node>),
    /// The primary that Sentinels know by this name.
    Sentinel {
        /// Where Sentinels are; they name others.
        sentinels: Vec<Endpoint>,
        /// The name of the primary.
        name: String,
    },
}

impl Servers {
    /// Returns the server, if it is a single one.
    pub fn single(&self) -> Option<&Node> {
        match self {
            Self::Nodes(nodes) => match nodes.as_slice() {
                [node] => Some(node),
                _ => None,
            },
            Self::Sentinel { .. } => None,
        }
    }

    /// Returns the hosts that have been given for servers.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let nodes = match self {
            Self::Nodes(nodes) => nodes.as_slice(),
            Self::Sentinel { .. } => &[],
        };
        nodes.iter().filter_map(Node::host)
    }

    /// Returns the URL without login, as it is for TLS or without.
    pub fn url(&self, tls: bool) -> String {
        let s = if tls { "s" } else { "" };
        match self {
            Self::Nodes(nodes) => {
                let url = |node: &Node| match node {
                    Node::Tcp(endpoint) => format!("redis{s}://{endpoint}"),
                    Node::Unix(_) => node.to_string(),
                };
                nodes.iter().map(url).collect::<Vec<_>>().join(",")
            }
            Self::Sentinel { sentinels, name } => {
                let all: Vec<_> = sentinels.iter().map(ToString::to_string).collect();
                format!("redis{s}-sentinel://{}/{name}", all.join(","))
            }
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(false))
    }
}

/// The error for a text that is not `host:port`.
#[derive(Debug, thiserror::Error)]
#[error("expected host:port, an IPv6 address in brackets")]
pub struct WrongEndpoint;

impl FromStr for Endpoint {
    type Err = WrongEndpoint;

    fn from_str(text: &str) -> Result<Self, WrongEndpoint> {
        parse(text).ok_or(WrongEndpoint)
    }
}

/// Reads `host:port`; an IPv6 address must be in brackets.
pub(super) fn parse(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(address) => {
            let address = address.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            address
        }
        None if host.contains(':') => return None,
        None => host,
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if host.is_empty() || !host.bytes().all(is_host_byte) || !digits {
        return None;
    }
    Some(Endpoint { host: host.to_owned(), port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_needs_host_and_port() {
        for text in ["127.0.0.1:6380", "[::1]:6380", "redis:0", "a-b.c_d:65535"] {
            assert_eq!(parse(text).map(|endpoint| endpoint.to_string()).as_deref(), Some(text));
        }
        for wrong in [
            "",
            "6380",
            ":6380",
            "host",
            "host:",
            "host:+1",
            "host:65536",
            "::1:6380",
            "[::1]",
            "[x]:1",
            "a b:1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
