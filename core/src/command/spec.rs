//! The description of a command.

use super::{Class, Effect, Scripting, Version};

/// A command or subcommand, as Redis describes it, with its effect on the connection.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The command's number: dense from 0 to [`COUNT`](super::COUNT), commands before subcommands. It
    /// may differ from one build to the next.
    pub id: u16,
    /// The name in lower case; a subcommand's name is its container's, a `|` and its own: `config|get`.
    pub name: &'static str,
    /// Where the subcommand's own name begins in `name`; 0 for a command.
    pub(super) word_at: u8,
    /// Number of arguments, including the name (and the subcommand's name); a negative number means "at
    /// least that many".
    pub arity: i16,
    /// The command's flags in Redis.
    pub flags: Flags,
    /// The positions of the keys among the arguments.
    pub keys: Keys,
    /// The effect on the connection. A container has the effect `None`; its subcommands have their own.
    pub effect: Effect,
    /// The class for latency metrics.
    pub class: Class,
    /// The way in which the command uses scripts and functions; `None` if it uses none.
    pub scripting: Option<Scripting>,
    /// The first version of Redis that has the command; `None` if only other servers or modules have
    /// it, whose versions are not Redis's.
    pub since: Option<Version>,
    /// Subcommands of a container such as `CONFIG`; empty for all other commands.
    pub subcommands: &'static [Self],
}

// With more, finding a row takes a multiplication, which each request would pay.
const _: () = assert!(size_of::<Spec>() == 64);

impl Spec {
    /// Returns the subcommand named `word`, in upper or lower case, if this is a container that has it.
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static Self> {
        let is_called = |spec: &&Self| {
            let own = spec.word().as_bytes();
            own.len() == word.len() && own.eq_ignore_ascii_case(word)
        };
        self.subcommands.iter().find(is_called)
    }

    /// Returns true if this is a container such as `CONFIG`, which needs a second argument that names
    /// the subcommand.
    pub fn is_container(&self) -> bool {
        !self.subcommands.is_empty()
    }

    /// Returns true if Redis accepts the command with `argc` arguments, name included.
    pub fn arity_holds(&self, argc: usize) -> bool {
        arity_holds(self.arity, argc)
    }

    /// Returns true if a Redis of this version has the command. It is false for a command of a module
    /// or of another server, since the version does not tell whether the command is there.
    pub fn is_in(&self, version: Version) -> bool {
        self.since.is_some_and(|since| since <= version)
    }

    /// Returns the container's name, or the command's own: `config` of `config|get`.
    pub fn command(&self) -> &'static str {
        let end = usize::from(self.word_at).checked_sub(1);
        end.and_then(|end| self.name.get(..end)).unwrap_or(self.name)
    }

    /// Returns the last word of the name: `get` of `config|get`.
    pub fn word(&self) -> &'static str {
        self.name.get(usize::from(self.word_at)..).unwrap_or(self.name)
    }
}

/// Returns true if a command of this arity accepts `argc` arguments, name included.
#[inline]
pub(super) fn arity_holds(arity: i16, argc: usize) -> bool {
    let least = usize::from(arity.unsigned_abs());
    if arity < 0 { argc >= least } else { argc == least }
}

/// Positions of the keys among the arguments; the name has position 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Position of the first key; 0 if no key has a fixed position.
    pub first: i16,
    /// Position of the last key; a negative number counts from the end, -1 being the last argument.
    pub last: i16,
    /// Distance from one key to the next.
    pub step: i16,
    /// True if other keys may follow that are found only by reading the arguments (`movablekeys`).
    pub movable: bool,
}

/// A command flag of Redis, named as in the reply to `COMMAND`, in Rust's case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the texts are Redis's")]
pub enum Flag {
    Admin,
    AllowBusy,
    Asking,
    Blocking,
    Denyoom,
    Fast,
    Loading,
    MayReplicate,
    Module,
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

    /// Returns true if the set contains `flag`.
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Returns the set with `flag` added.
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | flag.bit())
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::EMPTY, Self::with)
    }
}
