//! Reasons to reject a connection.

use std::fmt;

/// Why a connection is rejected before it becomes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The client's address is in no network of `allow`.
    NotAllowed,
    /// The connection comes from a network of `proxy_protocol_from` and does not begin with a valid
    /// header.
    NoProxyHeader,
    /// The client's source is locked out after too many wrong passwords.
    LockedOut,
    /// The limit `limits.max_sessions` is reached.
    Sessions,
    /// The limit `limits.sessions_per_address` is reached.
    PerSource,
    /// The limit `limits.unauthenticated_sessions` is reached, or the part of it that a single source
    /// may take.
    Unauthenticated,
    /// The TLS handshake failed: the client's certificate is missing or invalid, the client rejects the
    /// server's certificate, does not speak TLS, or took longer than `limits.auth_timeout`.
    TlsHandshake,
}

impl Refusal {
    /// All reasons, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::NotAllowed,
        Self::NoProxyHeader,
        Self::LockedOut,
        Self::Sessions,
        Self::PerSource,
        Self::Unauthenticated,
        Self::TlsHandshake,
    ];

    /// Returns true if the client gets Redis's error for too many clients; otherwise the connection is
    /// closed without a reply.
    pub fn gets_error_reply(self) -> bool {
        matches!(self, Self::Sessions | Self::PerSource | Self::Unauthenticated)
    }

    /// Returns a stable name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NoProxyHeader => "no_proxy_header",
            Self::LockedOut => "locked_out",
            Self::Sessions => "max_sessions",
            Self::PerSource => "sessions_per_address",
            Self::Unauthenticated => "unauthenticated_sessions",
            Self::TlsHandshake => "tls_handshake",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
