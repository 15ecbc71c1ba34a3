//! What the policy says of a command.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::refusal::{unknown_command, unknown_subcommand};

/// What the policy says of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may run.
    Allow,
    /// It does not exist for this client.
    Deny(Denied),
}

/// Whether a request may run, by all that the policy says of it. The objection is boxed, as there is
/// mostly none.
pub type Verdict = Result<(), Box<Objection>>;

/// Why a request may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The command does not exist for this client.
    Denied(Denied),
    /// The part of a large request that decides has not wholly arrived, and is larger than what is held.
    Unreadable,
}

/// A refusal: what to answer, and which rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    answer: Answer,
    rule: RuleName,
}

/// Which of Redis's two errors.
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

    /// The rule, for logs: `flushall` or `script|flush`, in lower case.
    pub fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// The bytes that Redis gives for a command or subcommand that does not exist, for a request
    /// of `args`, its name first, as the client sent them.
    pub fn reply<'a>(&self, args: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
        match self.answer {
            Answer::UnknownCommand => unknown_command(args),
            Answer::UnknownSubcommand => unknown_subcommand(args),
        }
    }
}

/// The name of a rule: the table's text, or for a name that the table does not have, the rule's.
/// Cheap to clone; never holds a client's bytes.
#[derive(Clone)]
pub enum RuleName {
    /// From the table of commands.
    Known(&'static str),
    /// From the configuration.
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
