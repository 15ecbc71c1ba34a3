//! Why a connection to the upstream could not be opened, or ended.

use std::io;
use std::time::Duration;

use crate::config::Endpoint;
use crate::net::keepalive::is_silence;
use redoubt_core::upstream::LoginError;
use redoubt_core::upstream::guard::GuardError;

/// The reason why a link could not be opened, or why it broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {endpoint}")]
    Connect { endpoint: Endpoint, source: io::Error },
    #[error("TLS handshake with {endpoint} failed")]
    Tls { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout { endpoint: Endpoint, timeout: Duration },
    #[error("the connection to {endpoint} ended while logging in")]
    Ended { endpoint: Endpoint },
    #[error("the connection to {endpoint} broke")]
    Broken { endpoint: Endpoint, source: io::Error },
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
            Self::Ended { .. } | Self::Broken { .. } => true,
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
