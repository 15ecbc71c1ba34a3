//! `host:port` as clients and operators write it.

use std::fmt;
use std::str::FromStr;

use super::super::secrets::is_host_byte;

/// A host and a port: `127.0.0.1:6380`, `[::1]:6380`, `redis:6379`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
