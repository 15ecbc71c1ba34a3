//! The addresses where clients connect, with or without TLS.

use std::fmt;
use std::path::PathBuf;

use super::endpoint::{self, Endpoint};

/// A place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `host:port`.
    Tcp(Endpoint),
    /// `tls://host:port`.
    Tls(Endpoint),
    /// `unix:///path`, a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Longest path of a Unix socket that the kernel accepts, in bytes.
    const MAX_PATH: usize = 107;

    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("tls://") {
            return endpoint::parse(rest).map(Self::Tls);
        }
        let Some(path) = text.strip_prefix("unix://") else {
            return endpoint::parse(text).map(Self::Tcp);
        };
        let fits = path.starts_with('/')
            && !path.ends_with('/')
            && path.len() <= Self::MAX_PATH
            && !path.contains(|c: char| c.is_control());
        fits.then(|| Self::Unix(path.into()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Tls(endpoint) => write!(f, "tls://{endpoint}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_tls_and_unix_addresses_read_back_and_others_fail() {
        for text in ["127.0.0.1:6380", "tls://[::1]:6380", "tls://redis:0", "unix:///run/r.sock"] {
            assert_eq!(Listen::parse(text).map(|found| found.to_string()).as_deref(), Some(text));
        }
        let long = format!("unix:///{}", "x".repeat(107));
        for wrong in [
            "",
            "tls://",
            "tls://host",
            "tls:host:1",
            "unix://",
            "unix://run/r.sock",
            "unix:///run/",
            "unix:///a\nb",
            "/run/r.sock",
            "redis://host:1",
            &long,
        ] {
            assert_eq!(Listen::parse(wrong), None, "{wrong:?}");
        }
    }
}
