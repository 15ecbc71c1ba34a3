//! What is written of.

use std::fmt::Display;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{is_on, record};
use redoubt_core::session;

/// One event, with its fields as they are in the line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/audit.md gives the meaning of each field")]
pub enum Event {
    /// The proxy starts.
    Started { version: &'static str, configuration_sha256: String },
    /// The proxy has stopped.
    Stopped,
    /// Settings or a password file changed: which, never what is in them.
    ConfigurationChanged { keys: Vec<String> },
    /// How Redis itself is kept from running what is blocked has changed.
    GuardChanged { state: &'static str },
    /// A shared link owed a reply for too long and was closed: the session whose reply was due next,
    /// and how many were closed with it.
    LinkStalled {
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        sessions: u64,
    },
    /// Connections were refused since it was last said.
    ConnectionsRefused { reason: String, count: u64, total: u64 },
    /// A client connected.
    SessionOpened {
        session: u64,
        peer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A client proved its identity.
    AuthSucceeded {
        session: u64,
        peer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
        user: String,
    },
    /// A client gave a wrong name or password.
    AuthFailed { session: u64, peer: String, claimed_user: String },
    /// An address is locked out.
    LockedOut { session: u64, peer: String, duration_ms: u64 },
    /// A command was refused.
    CommandRefused {
        session: u64,
        peer: String,
        user: Option<String>,
        rule: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
    },
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
    /// Events found the queue full and are not in the log.
    EventsDropped { count: u64 },
    /// The file ended in a half line, which was cut off.
    LogRepaired { bytes: u64 },
    /// Lines that were written at the file's end are not there any more.
    LogTruncated { lines: u64 },
    /// The chain of hashes could not go on from the last line, so that file was set aside.
    ChainStarted,
}

impl Event {
    /// Of a start with `configuration`, which has its secrets masked.
    pub fn started(configuration: &str) -> Self {
        Self::Started {
            version: env!("CARGO_PKG_VERSION"),
            configuration_sha256: hex::encode(Sha256::digest(configuration)),
        }
    }
}

/// The session that something happens to.
pub struct Session<'a> {
    /// What the log calls it.
    pub number: u64,
    /// Where its client connects from.
    pub peer: &'a dyn Display,
    /// Whom the client's certificate is for, if it has one.
    pub certificate: Option<&'a str>,
    /// The user that it was when it happened.
    pub user: Option<&'a str>,
    /// How many of its commands were refused.
    pub refused: u64,
}

/// Writes of `event` of `of`.
pub fn report(of: &Session<'_>, event: &session::Event) {
    if !is_on() {
        return;
    }
    let &Session { number: session, refused, .. } = of;
    let (peer, known) = (of.peer.to_string(), of.user.map(str::to_owned));
    record(match event {
        session::Event::Authenticated { user } => {
            let certificate = of.certificate.map(str::to_owned);
            Event::AuthSucceeded { session, peer, certificate, user: user.to_string() }
        }
        session::Event::AuthFailed { user } => {
            Event::AuthFailed { session, peer, claimed_user: user.to_string() }
        }
        session::Event::LockedOut { lasts } => {
            Event::LockedOut { session, peer, duration_ms: milliseconds(*lasts) }
        }
        session::Event::Refused { rule, keys } => Event::CommandRefused {
            session,
            peer,
            user: known,
            rule: rule.to_string(),
            keys: keys.clone(),
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
