//! What happened to a session, as data; the shell logs and counts it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::RuleName;

/// Something worth a log line. No variant holds a password or an argument's value, but for
/// the keys of a refused command where the operator wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session proved its identity.
    Authenticated {
        /// The user it is now.
        user: Arc<str>,
    },
    /// A wrong user name or password.
    AuthFailed {
        /// The claimed user, escaped and cut short.
        user: ClaimedUser,
    },
    /// So many wrong passwords have come from the client's address that it is locked out.
    LockedOut {
        /// For how long.
        lasts: Duration,
    },
    /// A command was refused by the policy.
    Refused {
        /// The rule that refused it; never the client's bytes.
        rule: RuleName,
        /// Its keys, as [`Rules::keys`](super::Rules::keys) wants them; none before a right `AUTH`.
        keys: Vec<String>,
    },
    /// The session ended.
    Closed {
        /// Why.
        reason: CloseReason,
        /// How long it lasted.
        lasted: Duration,
        /// Requests it made.
        commands: u64,
        /// Bytes read from it.
        bytes_in: u64,
        /// Bytes given to it.
        bytes_out: u64,
    },
}

/// A user name as a client claimed it: untrusted, so escaped and short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedUser(String);

impl ClaimedUser {
    /// Most bytes of the claim that are kept.
    pub const MAX: usize = 64;

    /// Escapes and cuts `claim`.
    pub fn new(claim: &[u8]) -> Self {
        let kept = claim.get(..Self::MAX).unwrap_or(claim);
        Self(kept.escape_ascii().to_string())
    }
}

impl fmt::Display for ClaimedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed its connection, or it broke.
    Client,
    /// `QUIT`.
    Quit,
    /// The client broke the protocol and was told so.
    Protocol,
    /// `POST` or `Host:` came as a command: a browser being misused against Redis.
    CrossProtocol,
    /// No right `AUTH` within `limits.auth_timeout`.
    AuthTimeout,
    /// More than `limits.auth_attempts` refused commands before a right `AUTH`; sixteen requests that
    /// do nothing count as one.
    AuthAttempts,
    /// More bytes before a right `AUTH` than a client needs to log in.
    UnauthenticatedBytes,
    /// A wrong password from an address that is locked out, or is locked out for it, or to which so
    /// many answers to wrong passwords wait already.
    LockedOut,
    /// One more than `limits.sessions_per_identity`; it was told so.
    IdentityLimit,
    /// It had not authenticated, and with what it held all of those held more than
    /// `limits.unauthenticated_memory`.
    UnauthenticatedMemory,
    /// All sessions held more than `limits.memory`, and it held most.
    Memory,
    /// Silent for `limits.idle_timeout`.
    Idle,
    /// A request was larger than `limits.request_size`, or one that must be held whole was too large
    /// for that.
    TooLarge,
    /// Unread replies passed `limits.output_buffer`.
    OutputLimit,
    /// More than `limits.subscriptions` channels and patterns.
    Subscriptions,
    /// A locally answered command had nowhere to go in order: the connection carries a stream.
    Unorderable,
    /// No link could be had for it: `upstream.max_links` are in use.
    NoLease,
    /// It read slowly, and another session needed its link: `upstream.max_links` were in use.
    LinkLimit,
    /// Upstream could not be reached or refused the link.
    UpstreamUnavailable,
    /// The link broke while replies were due on it.
    UpstreamLost,
    /// The server answered its requests with more or fewer replies than they were, as Redis does to a
    /// script whose first line makes it repeat line ends.
    ReplyMismatch,
    /// A reply was due to it on a shared link that owed one for `upstream.stall_timeout`, while Redis
    /// answered on another.
    UpstreamStalled,
    /// The password that the session logged in with is accepted no more.
    CredentialWithdrawn,
    /// Its address is not among those of `allow` any more.
    NotAllowed,
    /// Redoubt is stopping.
    Shutdown,
    /// A defect in Redoubt; the session was given up to protect the others.
    Internal,
}

impl CloseReason {
    /// All of them, in order.
    pub const ALL: [Self; 26] = [
        Self::Client,
        Self::Quit,
        Self::Protocol,
        Self::CrossProtocol,
        Self::AuthTimeout,
        Self::AuthAttempts,
        Self::UnauthenticatedBytes,
        Self::LockedOut,
        Self::IdentityLimit,
        Self::UnauthenticatedMemory,
        Self::Memory,
        Self::Idle,
        Self::TooLarge,
        Self::OutputLimit,
        Self::Subscriptions,
        Self::Unorderable,
        Self::NoLease,
        Self::LinkLimit,
        Self::UpstreamUnavailable,
        Self::UpstreamLost,
        Self::ReplyMismatch,
        Self::UpstreamStalled,
        Self::CredentialWithdrawn,
        Self::NotAllowed,
        Self::Shutdown,
        Self::Internal,
    ];

    /// A stable word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client_closed",
            Self::Quit => "quit",
            Self::Protocol => "protocol_error",
            Self::CrossProtocol => "cross_protocol",
            Self::AuthTimeout => "auth_timeout",
            Self::AuthAttempts => "auth_attempts",
            Self::UnauthenticatedBytes => "unauthenticated_bytes",
            Self::LockedOut => "locked_out",
            Self::IdentityLimit => "sessions_per_identity",
            Self::UnauthenticatedMemory => "unauthenticated_memory",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::TooLarge => "request_too_large",
            Self::OutputLimit => "output_limit",
            Self::Subscriptions => "subscriptions",
            Self::Unorderable => "unorderable",
            Self::NoLease => "no_lease",
            Self::LinkLimit => "max_links",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamLost => "upstream_lost",
            Self::ReplyMismatch => "reply_mismatch",
            Self::UpstreamStalled => "upstream_stalled",
            Self::CredentialWithdrawn => "credential_withdrawn",
            Self::NotAllowed => "not_allowed",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_is_left_out() {
        assert!(CloseReason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert_eq!(CloseReason::ALL.len(), CloseReason::Internal as usize + 1, "the last one");
    }

    #[test]
    fn a_claimed_user_cannot_forge_a_log_line() {
        let claim = ClaimedUser::new(b"bob\nlevel=info \x1b[2J\xff");
        assert_eq!(claim.to_string(), "bob\\nlevel=info \\x1b[2J\\xff");
        assert_eq!(ClaimedUser::new(&[b'a'; 500]).to_string().len(), ClaimedUser::MAX);
    }
}
