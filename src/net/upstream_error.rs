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
    #[error("it is not known which server is the primary: {0}")]
    NoPrimary(NoPrimary),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

/// Why it is not known which server is the primary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPrimary {
    #[error("nothing has been found yet")]
    NotYet,
    #[error("none of the servers is one ({0})")]
    None(String),
    #[error("no Sentinel answers ({0})")]
    Silence(String),
    #[error("the Sentinels have no primary of this name ({0})")]
    Unknown(String),
    #[error("the Sentinels disagree ({0})")]
    Disagree(String),
    #[error("the Sentinels name {node}, {problem}")]
    Named { node: Node, problem: String },
}

impl UpstreamError {
    /// Returns whether the upstream was unreachable or silent, in contrast to an error that it
    /// replied.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Tls { .. } => true,
            Self::Ended { .. } | Self::Broken { .. } | Self::NoPrimary(_) => true,
            Self::Login(_) | Self::Guard(_) => false,
        }
    }

    /// Returns whether a failover may be the cause, so that it is worth trying again.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_unreachable() || matches!(self, Self::Login(LoginError::Replica))
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
