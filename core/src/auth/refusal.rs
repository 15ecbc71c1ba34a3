//! Why a connection is turned away.

use std::fmt;

/// Why a connection does not become a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its address is in no network of `allow`.
    NotAllowed,
    /// It comes from a network of `proxy_protocol_from` and does not begin with a right header.
    NoProxyHeader,
    /// Too many wrong passwords have come from there.
    LockedOut,
    /// `limits.max_sessions`.
    Sessions,
    /// `limits.sessions_per_address`.
    PerSource,
    /// `limits.unauthenticated_sessions`, or one source's share of them.
    Unauthenticated,
    /// Hands could not be shaken: its certificate is missing or not good, it does not take ours, it
    /// does not speak TLS, or it took longer than `limits.auth_timeout`.
    TlsHandshake,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotAllowed,
        Self::NoProxyHeader,
        Self::LockedOut,
        Self::Sessions,
        Self::PerSource,
        Self::Unauthenticated,
        Self::TlsHandshake,
    ];

    /// Returns whether the client gets Redis's error for too many clients; otherwise it gets no reply.
    pub fn is_told(self) -> bool {
        matches!(self, Self::Sessions | Self::PerSource | Self::Unauthenticated)
    }

    /// A stable word for logs and metrics.
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
