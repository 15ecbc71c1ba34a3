//! Classes of commands, for latency metrics.

use super::Effect;
use super::spec::{Flag, Flags};

/// The kind of work that a command causes in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// The command reads keys.
    Read,
    /// The command changes keys.
    Write,
    /// The command runs a script or a function.
    Script,
    /// The command may wait for other clients' writes, or for replicas.
    Blocking,
    /// The command publishes or subscribes.
    Pubsub,
    /// `MULTI`, `EXEC`, `DISCARD`, `WATCH` and `UNWATCH`.
    Transaction,
    /// Any other command, and commands that the table does not have.
    Other,
}

impl Class {
    /// All classes, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Script,
        Self::Blocking,
        Self::Pubsub,
        Self::Transaction,
        Self::Other,
    ];

    /// Returns a stable name for metrics.
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

    /// Returns the class of a command with this effect and these flags.
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
