//! The policy's decision about a command.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::refusal::{unknown_command, unknown_subcommand};

/// The policy's decision about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The command may run.
    Allow,
    /// The command does not exist for this client.
    Deny(Denied),
}

/// The policy's verdict on a request. The objection is boxed, as most requests have none.
pub type Verdict = Result<(), Box<Objection>>;

/// Why a request may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The command does not exist for this client.
    Denied(Denied),
    /// The upstream has no such command or subcommand.
    Lacking,
    /// The argument that decides has not arrived completely, and it is larger than Redoubt buffers.
    Unreadable,
}

/// A refused command: the reply to it, and the rule that refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    answer: Answer,
    rule: RuleName,
}

/// Which of Redis's two errors is the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    UnknownCommand,
    UnknownSubcommand,
}

impl Denied {
    pub(crate) fn command(rule: RuleName) -> Self {
        Self { answer: Answer::UnknownCommand, rule }
    }

    pub(super) fn subcommand(rule: RuleName) -> Self {
        Self { answer: Answer::UnknownSubcommand, rule }
    }

    /// Returns the name of the rule, for logs: `flushall` or `script|flush`, in lower case.
    pub fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// Returns the bytes that Redis sends for a command or subcommand that does not exist. `args` is
    /// the request as the client sent it, its name first.
    pub fn reply<'a>(&self, args: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
        match self.answer {
            Answer::UnknownCommand => unknown_command(args),
            Answer::UnknownSubcommand => unknown_subcommand(args),
        }
    }
}

/// The name of a rule: the text of the table of commands or, for a name that the table does not have,
/// of the rule. It is cheap to clone and never contains bytes of a client.
#[derive(Clone)]
pub enum RuleName {
    /// A name in the table of commands.
    Known(&'static str),
    /// A name in the configuration.
    Named(Arc<str>),
}

impl Deref for RuleName {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Named(name) => name,
        }
    }
}

impl PartialEq for RuleName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for RuleName {}

impl Hash for RuleName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
