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

    /// Returns the error and its causes on one line, and what to do about a Unix socket.
    pub(crate) fn chain(&self) -> String {
        match (std::error::Error::source(self), self.socket_problem()) {
            (Some(cause), Some(problem)) => format!("{self}: {cause}; {}", problem.advice()),
            (Some(cause), None) => format!("{self}: {cause}"),
            (None, _) => self.to_string(),
        }
    }

    /// Returns why a Unix socket could not be connected to; `None` for every other error.
    pub(crate) fn socket_problem(&self) -> Option<SocketProblem> {
        let Self::Connect { node: Node::Unix(_), source } = self else { return None };
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some(SocketProblem::Missing),
            io::ErrorKind::PermissionDenied => Some(SocketProblem::Forbidden),
            io::ErrorKind::ConnectionRefused => Some(SocketProblem::Unattended),
            _ => None,
        }
    }
}

/// Why a Unix socket cannot be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketProblem {
    /// Its path does not exist.
    Missing,
    /// Redoubt's user may not open it, or not enter a folder on its path.
    Forbidden,
    /// Nobody listens: the server has ended, or the path is one of a plain file.
    Unattended,
}

impl SocketProblem {
    /// Returns the reason why Redoubt is not ready, without the path.
    pub(crate) fn unready(self) -> &'static str {
        match self {
            Self::Missing => "upstream: its Unix socket does not exist",
            Self::Forbidden => "upstream: no permission to open its Unix socket",
            Self::Unattended => "upstream: nobody listens on its Unix socket",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Missing => {
                "start Redis with this path as its unixsocket, in a folder that Redoubt sees too"
            }
            Self::Forbidden => {
                "put Redoubt's user into the group of the socket and its folder, and set unixsocketperm 770"
            }
            Self::Unattended => {
                "start Redis with this path as its unixsocket; the path is a plain file, or a socket that a server has left"
            }
        }
    }
}
