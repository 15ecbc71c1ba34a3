//! What is known of one command.

use super::{Class, Effect, Scripting, Version};

/// One command or subcommand, as Redis describes it, with what it does to its connection.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its number: dense from 0 to [`COUNT`](super::COUNT), commands before subcommands. It may
    /// differ from one build to the next.
    pub id: u16,
    /// Lower case; a subcommand carries its container's name and a `|`: `config|get`.
    pub name: &'static str,
    /// Number of arguments with the name (and the subcommand's) in it; negative for "that many or
    /// more".
    pub arity: i16,
    /// Redis's flags.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// What it does to the connection it runs on. A container's own effect is `None`; its
    /// subcommands have theirs.
    pub effect: Effect,
    /// What kind of work it is.
    pub class: Class,
    /// What it has to do with scripts and functions, if anything.
    pub scripting: Option<Scripting>,
    /// The Redis that brought it.
    pub since: Version,
    /// Those of a container command such as `CONFIG`; empty for all others.
    pub subcommands: &'static [Self],
}

impl Spec {
    /// The subcommand named `word` in any case, if this is a container that has it.
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static Self> {
        self.subcommands.iter().find(|spec| spec.word().as_bytes().eq_ignore_ascii_case(word))
    }

    /// Returns whether it is a container command, such as `CONFIG`: its second argument names what runs,
    /// and it does nothing without one.
    pub fn is_container(&self) -> bool {
        !self.subcommands.is_empty()
    }

    /// Returns whether Redis takes it with `argc` arguments, name included.
    pub fn arity_holds(&self, argc: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { argc >= least } else { argc == least }
    }

    /// The container's name, or the command's own: `config` of `config|get`.
    pub fn command(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(command, _)| command)
    }

    /// The last word of the name: `get` of `config|get`.
    pub fn word(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, word)| word)
    }
}

/// Positions of the keys among the arguments, the name being number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// The first key's; 0 if there is none in a fixed place.
    pub first: i16,
    /// The last key's; a negative one counts from the end, -1 being the last argument.
    pub last: i16,
    /// From one key to the next.
    pub step: i16,
    /// Whether other keys may be elsewhere, found only by reading the arguments (`movablekeys`).
    pub movable: bool,
}

/// One of Redis's command flags; the name is that in `COMMAND`'s reply, in Rust's case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "Redis's own words")]
pub enum Flag {
    Admin,
    AllowBusy,
    Asking,
    Blocking,
    Denyoom,
    Fast,
    Loading,
    MayReplicate,
    Movablekeys,
    NoAsyncLoading,
    NoAuth,
    NoMandatoryKeys,
    NoMulti,
    Noscript,
    Pubsub,
    Readonly,
    SkipMonitor,
    SkipSlowlog,
    Stale,
    Write,
}

impl Flag {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of [`Flag`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    pub(super) const EMPTY: Self = Self(0);

    /// Returns whether `flag` is among them.
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// These and `flag`.
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | flag.bit())
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::EMPTY, Self::with)
    }
}
