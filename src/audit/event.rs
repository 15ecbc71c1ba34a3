//! The events of the audit log.

use std::fmt::Display;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{is_on, record};
use redoubt_core::session;

/// An event, with its fields as they are in the line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/audit.md gives the meaning of each field")]
pub enum Event {
    /// Redoubt starts.
    Started { version: &'static str, configuration_sha256: String },
    /// Redoubt has stopped.
    Stopped,
    /// Settings or a password file changed. The event names the keys, never their values.
    ConfigurationChanged { keys: Vec<String> },
    /// The way in which Redis itself refuses blocked commands has changed.
    GuardChanged { state: &'static str },
    /// An identity may run a command for a while.
    Granted {
        grant: u64,
        identity: String,
        command: String,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        until: String,
    },
    /// A grant has ended.
    GrantEnded {
        grant: u64,
        identity: String,
        command: String,
        why: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A shared link was closed because a reply was pending for too long: the session whose reply
    /// was next, and how many sessions were closed with it.
    LinkStalled {
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        sessions: u64,
    },
    /// Connections were refused since the last such event.
    ConnectionsRefused { reason: String, count: u64, total: u64 },
    /// A client connected.
    SessionOpened {
        session: u64,
        peer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A client authenticated.
    AuthSucceeded {
        session: u64,
        peer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
        user: String,
        method: &'static str,
    },
    /// A client sent a wrong user name or password.
    AuthFailed { session: u64, peer: String, claimed_user: String },
    /// An address was locked out.
    LockedOut { session: u64, peer: String, duration_ms: u64 },
    /// A command was refused.
    CommandRefused(Box<CommandRefused>),
    /// A command that the policy refuses was answered, because `policy.compat` says so.
    CommandAnswered {
        session: u64,
        peer: String,
        user: Option<String>,
        key: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        parameters: Vec<&'static str>,
        succeeded: bool,
    },
    /// A request was served that the identity's `acl` would refuse.
    WouldRefuse(Box<WouldRefuse>),
    /// Keys were deleted in place of `FLUSHDB` or `FLUSHALL`, because `policy.compat.flush` says so.
    KeysDeleted(Box<KeysDeleted>),
    /// A session ended.
    SessionClosed {
        session: u64,
        peer: String,
        user: Option<String>,
        reason: String,
        duration_ms: u64,
        commands: u64,
        refused: u64,
        bytes_in: u64,
        bytes_out: u64,
    },
    /// Events were dropped because the queue was full.
    EventsDropped { count: u64 },
    /// The file ended in an incomplete line, which was removed.
    LogRepaired { bytes: u64 },
    /// Lines that were recorded at the file's end are missing.
    LogTruncated { lines: u64 },
    /// The chain of hashes could not continue from the last line, so the file was renamed.
    ChainStarted,
}

/// A command that was refused.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "docs/audit.md gives the meaning of each field")]
pub struct CommandRefused {
    pub session: u64,
    pub peer: String,
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    pub command: String,
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A request that the `acl` of an identity in the mode "observe" would refuse.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "docs/audit.md gives the meaning of each field")]
pub struct WouldRefuse {
    pub identity: String,
    pub command: String,
    pub rule: &'static str,
    pub needs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A deletion of keys for a client.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "docs/audit.md gives the meaning of each field")]
pub struct KeysDeleted {
    pub session: u64,
    pub peer: String,
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    pub command: &'static str,
    pub prefix: String,
    pub databases: Vec<u32>,
    pub keys: u64,
    pub succeeded: bool,
}

impl Event {
    /// Makes the event of a start with `configuration`, whose secrets are masked.
    pub fn started(configuration: &str) -> Self {
        Self::Started {
            version: env!("CARGO_PKG_VERSION"),
            configuration_sha256: hex::encode(Sha256::digest(configuration)),
        }
    }
}

/// The session that an event belongs to.
pub struct Session<'a> {
    /// The session's number in the log.
    pub number: u64,
    /// The address of its client.
    pub peer: &'a dyn Display,
    /// The subject of the client's certificate, if it has one.
    pub certificate: Option<&'a str>,
    /// The user at that time; `None` before the session has authenticated and after `RESET`.
    pub user: Option<&'a str>,
    /// How many of its commands were refused.
    pub refused: u64,
}

/// Writes `event` of the session `of`.
pub fn report(of: &Session<'_>, event: &session::Event) {
    if !is_on() {
        return;
    }
    let &Session { number: session, refused, .. } = of;
    let (peer, known) = (of.peer.to_string(), of.user.map(str::to_owned));
    record(match event {
        session::Event::Authenticated { user, method } => {
            let certificate = of.certificate.map(str::to_owned);
            let (user, method) = (user.to_string(), method.as_str());
            Event::AuthSucceeded { session, peer, certificate, user, method }
        }
        session::Event::AuthFailed { user } => {
            Event::AuthFailed { session, peer, claimed_user: user.to_string() }
        }
        session::Event::LockedOut { lasts } => {
            Event::LockedOut { session, peer, duration_ms: milliseconds(*lasts) }
        }
        session::Event::Refused { refused, program } => {
            Event::CommandRefused(Box::new(CommandRefused {
                session,
                peer,
                user: known,
                name: program.name.clone(),
                library: program.library.clone(),
                command: refused.refusal.command.to_string(),
                rule: refused.refusal.rule.to_string(),
                opened_by: refused.refusal.opened_by,
                keys: refused.keys.clone(),
            }))
        }
        session::Event::Answered(answered) => Event::CommandAnswered {
            session,
            peer,
            user: known,
            key: answered.key.as_str(),
            parameters: answered.parameters.clone(),
            succeeded: answered.succeeded,
        },
        session::Event::Closed { reason, lasted, commands, bytes_in, bytes_out } => {
            Event::SessionClosed {
                session,
                peer,
                user: known,
                reason: reason.to_string(),
                duration_ms: milliseconds(*lasted),
                commands: *commands,
                refused,
                bytes_in: *bytes_in,
                bytes_out: *bytes_out,
            }
        }
    });
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
