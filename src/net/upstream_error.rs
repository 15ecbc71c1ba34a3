//! Why a connection to the upstream could not be opened, or ended.

use std::io;
use std::time::Duration;

use crate::config::Node;
use crate::net::keepalive::is_silence;
use redoubt_core::upstream::LoginError;
use redoubt_core::upstream::guard::GuardError;

/// The reason why a link could not be opened, or why it broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {node}")]
    Connect { node: Node, source: io::Error },
    #[error("TLS handshake with {node} failed")]
    Tls { node: Node, source: io::Error },
    #[error("{node} did not answer within {timeout:?}")]
    Timeout { node: Node, timeout: Duration },
    #[error("the connection to {node} ended while logging in")]
    Ended { node: Node },
    #[error("the connection to {node} broke")]
    Broken { node: Node, source: io::Error },
    #[error("it is not known which server is the primary")]
    NoPrimary,
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl UpstreamError {
    /// Returns whether the upstream was unreachable or silent, in contrast to an error that it
    /// replied.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Tls { .. } => true,
            Self::Ended { .. } | Self::Broken { .. } | Self::NoPrimary => true,
            Self::Login(_) | Self::Guard(_) => false,
        }
    }

    /// Returns true if the connection ended because the host at its other end had fallen silent.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Broken { source, .. } if is_silence(source))
    }

    /// Returns the error and its causes on one line.
    pub(crate) fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}
