//! Events of a session, as data; the program logs and counts them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::compat::Answered;
use super::decision::Refused;
use super::state::State;
use crate::auth::LoginMethod;

/// An event that is logged. No variant holds a password or the value of an argument, except the keys of
/// a refused command if the operator has enabled them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client authenticated.
    Authenticated {
        /// The user that the client logged in as.
        user: Arc<str>,
        /// How it did.
        method: LoginMethod,
    },
    /// The client sent a wrong user name or password.
    AuthFailed {
        /// The claimed user, escaped and truncated.
        user: ClaimedUser,
    },
    /// The client's source is locked out after too many wrong passwords.
    LockedOut {
        /// Duration of the lock-out.
        lasts: Duration,
    },
    /// The policy refused a command.
    Refused {
        /// What was refused, and why.
        refused: Box<Refused>,
        /// The program that sent it.
        program: Program,
    },
    /// A command that the policy refuses was answered, as the operator wants it.
    Answered(Answered),
    /// The session ended.
    Closed {
        /// The reason.
        reason: CloseReason,
        /// Duration of the session.
        lasted: Duration,
        /// Number of requests from the client.
        commands: u64,
        /// Bytes received from the client.
        bytes_in: u64,
        /// Bytes sent to the client.
        bytes_out: u64,
    },
}

/// What the program at the other end says of itself. It is untrusted, so it is escaped and truncated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Program {
    /// Its name, as by `CLIENT SETNAME` or `HELLO`.
    pub name: Option<String>,
    /// Its library and the library's version, as by `CLIENT SETINFO`.
    pub library: Option<String>,
}

impl Program {
    /// Most bytes of a name that are kept.
    pub const MAX: usize = 64;

    /// Returns what the client of a session in `state` has said.
    pub fn of(state: &State) -> Self {
        let shown = |said: &Bytes| {
            let kept = said.get(..Self::MAX).unwrap_or(said);
            (!kept.is_empty()).then(|| kept.escape_ascii().to_string())
        };
        let [library, version] = state.library();
        let library = match (shown(&library), shown(&version)) {
            (Some(library), Some(version)) => Some(format!("{library} {version}")),
            (library, version) => library.or(version),
        };
        Self { name: state.name().and_then(shown), library }
    }
}

/// A user name that a client claimed. It is untrusted, so it is escaped and truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedUser(String);

impl ClaimedUser {
    /// Most bytes of the claimed name that are kept.
    pub const MAX: usize = 64;

    /// Escapes and truncates `claim`.
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
    /// The client closed its connection, or the connection failed.
    Client,
    /// The client sent `QUIT`.
    Quit,
    /// The client broke the protocol and got Redis's error.
    Protocol,
    /// The client sent `POST` or `Host:` as a command, as a browser does that a web page misuses
    /// against Redis.
    CrossProtocol,
    /// The client did not authenticate within `limits.auth_timeout`.
    AuthTimeout,
    /// The client sent more than `limits.auth_attempts` refused commands before it authenticated;
    /// sixteen requests without effect count as one.
    AuthAttempts,
    /// The client sent more bytes than a login needs before it authenticated.
    UnauthenticatedBytes,
    /// The client sent a wrong password, and its source is locked out or has too many delayed replies
    /// to wrong passwords.
    LockedOut,
    /// The session was over `limits.sessions_per_identity`, or over the sessions of its identity's `limits`; the
    /// client got an error.
    IdentityLimit,
    /// All unauthenticated sessions together held more than `limits.unauthenticated_memory`, and this
    /// session had grown.
    UnauthenticatedMemory,
    /// All sessions together held more than `limits.memory`, and this session held most.
    Memory,
    /// The client was silent for `limits.idle_timeout`.
    Idle,
    /// A request was larger than `limits.request_size`, or had to be buffered completely and was too
    /// large for that.
    TooLarge,
    /// The unread replies exceeded `limits.output_buffer`.
    OutputLimit,
    /// The session had more than `limits.subscriptions` channels and patterns.
    Subscriptions,
    /// The reply of Redoubt's own to a command could not be put in order, because the connection
    /// carries a stream.
    Unorderable,
    /// The client asked for the debugger of scripts, which is refused. `redis-cli --ldb` ignores the refusal, and
    /// would run its script to the end.
    DebuggerRefused,
    /// There was no link for the session: `upstream.max_links` links were in use, or as many leases as its
    /// identity's `limits` allow.
    NoLease,
    /// The client read slowly, and another session needed its link: `upstream.max_links` links were in
    /// use.
    LinkLimit,
    /// The upstream could not be reached or refused the link.
    UpstreamUnavailable,
    /// The link closed while replies were pending on it.
    UpstreamLost,
    /// The server may have restarted, or is another one, and the client has used scripts. Its library believes
    /// that the server has them as long as the connection lasts.
    ScriptsLost,
    /// The server answered the session's requests with more or fewer replies than there were requests,
    /// as Redis does to a script whose first line makes it repeat line ends.
    ReplyMismatch,
    /// A pending reply on a shared link did not arrive within `upstream.stall_timeout`, while Redis
    /// answered on another link.
    UpstreamStalled,
    /// The password that the session logged in with, or its client's certificate, is no longer accepted.
    CredentialWithdrawn,
    /// The client's address is no longer in a network of `allow`.
    NotAllowed,
    /// Another session, or the session itself, ended it by `CLIENT KILL`.
    Killed,
    /// Redoubt shuts down.
    Shutdown,
    /// A defect in Redoubt; the session was closed to protect the others.
    Internal,
}

impl CloseReason {
    /// All reasons, in the order of declaration.
    pub const ALL: [Self; 29] = [
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
        Self::DebuggerRefused,
        Self::NoLease,
        Self::LinkLimit,
        Self::UpstreamUnavailable,
        Self::UpstreamLost,
        Self::ScriptsLost,
        Self::ReplyMismatch,
        Self::UpstreamStalled,
        Self::CredentialWithdrawn,
        Self::NotAllowed,
        Self::Killed,
        Self::Shutdown,
        Self::Internal,
    ];

    /// Returns a stable name for logs and metrics.
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
            Self::DebuggerRefused => "debugger_refused",
            Self::NoLease => "no_lease",
            Self::LinkLimit => "max_links",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamLost => "upstream_lost",
            Self::ScriptsLost => "scripts_lost",
            Self::ReplyMismatch => "reply_mismatch",
            Self::UpstreamStalled => "upstream_stalled",
            Self::CredentialWithdrawn => "credential_withdrawn",
            Self::NotAllowed => "not_allowed",
            Self::Killed => "client_kill",
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
    fn all_close_reasons_are_listed_once() {
        assert!(CloseReason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert_eq!(CloseReason::ALL.len(), CloseReason::Internal as usize + 1, "the last one");
    }

    #[test]
    fn a_claimed_user_name_cannot_forge_a_log_line() {
        let claim = ClaimedUser::new(b"bob\nlevel=info \x1b[2J\xff");
        assert_eq!(claim.to_string(), "bob\\nlevel=info \\x1b[2J\\xff");
        assert_eq!(ClaimedUser::new(&[b'a'; 500]).to_string().len(), ClaimedUser::MAX);
    }
}
