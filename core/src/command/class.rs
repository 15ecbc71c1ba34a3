//! Kinds of commands that are timed apart from each other.

use super::Effect;
use super::spec::{Flag, Flags};

/// What kind of work a command is for Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Reads keys.
    Read,
    /// Changes keys.
    Write,
    /// Runs a script or a function.
    Script,
    /// May wait for other clients' writes, or for replicas.
    Blocking,
    /// Publishes, or subscribes.
    Pubsub,
    /// `MULTI`, `EXEC`, `DISCARD`, `WATCH` and `UNWATCH`.
    Transaction,
    /// Anything else, and what the table does not know.
    Other,
}

impl Class {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Script,
        Self::Blocking,
        Self::Pubsub,
        Self::Transaction,
        Self::Other,
    ];

    /// A stable word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Script => "script",
            Self::Blocking => "blocking",
            Self::Pubsub => "pubsub",
            Self::Transaction => "transaction",
            Self::Other => "other",
        }
    }

    /// That of a command with this effect and these flags.
    pub(super) const fn of(effect: &Effect, flags: Flags) -> Self {
        match effect {
            Effect::Script => Self::Script,
            Effect::Blocks | Effect::BlocksOnOption | Effect::Wait => Self::Blocking,
            Effect::Subscribe(_) | Effect::Unsubscribe(_) => Self::Pubsub,
            Effect::Multi | Effect::Exec | Effect::Discard | Effect::Watch | Effect::Unwatch => {
                Self::Transaction
            }
            _ if flags.contains(Flag::Pubsub) => Self::Pubsub,
            _ if flags.contains(Flag::Write) => Self::Write,
            _ if flags.contains(Flag::Readonly) => Self::Read,
            _ => Self::Other,
        }
    }
}
