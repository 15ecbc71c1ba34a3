//! A row of a table of commands, and the spec that is made from it at compile time.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the function runs only at compile time"
)]

use super::spec::{Flag, Flags, Keys};
use super::{Class, Effect, Scripting, Spec, Version};

/// A command as the tables list it.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    arity: i16,
    flags: Flags,
    keys: [i16; 3],
    since: Option<[u16; 3]>,
}

/// Creates a row; `keys` are the first position, the last position and the step.
pub(super) const fn row(
    name: &'static str,
    arity: i16,
    flags: &[Flag],
    keys: [i16; 3],
    since: Option<[u16; 3]>,
) -> Row {
    let mut set = Flags::EMPTY;
    let mut next = 0;
    while next < flags.len() {
        set = set.with(flags[next]);
        next += 1;
    }
    Row { name, arity, flags: set, keys, since }
}

impl Row {
    /// Returns the command's spec; `id` is its position in the table.
    pub(super) const fn spec(&self, id: usize, subcommands: &'static [Spec]) -> Spec {
        let [first, last, step] = self.keys;
        let since = match self.since {
            Some([major, minor, patch]) => Some(Version::new(major, minor, patch)),
            None => None,
        };
        let movable = self.flags.contains(Flag::Movablekeys);
        assert!(id < u16::MAX as usize);
        Spec {
            id: id as u16,
            name: self.name,
            word_at: word_at(self.name.as_bytes()),
            arity: self.arity,
            flags: self.flags,
            keys: Keys { first, last, step, movable },
            effect: Effect::of(self.name),
            class: Class::of(&Effect::of(self.name), self.flags),
            scripting: Scripting::of(self.name),
            since,
            subcommands,
        }
    }
}

/// Returns where the subcommand's own name begins in `name`; 0 for a command.
const fn word_at(name: &[u8]) -> u8 {
    let mut at = 0;
    while at < name.len() {
        if name[at] == b'|' {
            return at as u8 + 1;
        }
        at += 1;
    }
    0
}
