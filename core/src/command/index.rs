//! From a name to its place in the table, without allocation.
//!
//! A hash table built by the compiler, with open addressing. It is about a quarter full, so
//! most look-ups compare one name, and those of names that do not exist mostly none.

use super::Spec;
use super::table::COMMANDS;

/// A power of two.
const SLOTS: usize = 1024;
const MASK: usize = SLOTS.wrapping_sub(1);
const EMPTY: u16 = u16::MAX;

/// Longer names are unknown without a look.
const LONGEST: usize = 32;

static INDEX: [u16; SLOTS] = build();

/// The command called `name`, in upper or lower case or any mixture.
///
/// Subcommands are not found here: Redis too knows no command `config|get`. A name that has a NUL
/// in it is unknown, as Redis means it to be; see [`policy`](crate::policy) on what Redis does.
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > LONGEST {
        return None;
    }
    let mut slot = hash(name);
    loop {
        // An empty slot is a number that no command has.
        let spec = COMMANDS.get(usize::from(*INDEX.get(slot)?))?;
        if is_called(spec, name) {
            return Some(spec);
        }
        slot = after(slot);
    }
}

/// Names are short, and those of the table are in lower case.
#[inline]
fn is_called(spec: &Spec, name: &[u8]) -> bool {
    let own = spec.name.as_bytes();
    own.len() == name.len()
        && own.iter().zip(name).all(|(own, sent)| *own == sent.to_ascii_lowercase())
}

/// The slot at which the search for `name` begins; the same in upper and lower case.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "next < name.len()")]
const fn hash(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    let mut next = 0;
    while next < name.len() {
        hash = (hash ^ (name[next] | 0x20) as u32).wrapping_mul(0x9e37_79b1);
        hash ^= hash >> 15;
        next += 1;
    }
    hash as usize & MASK
}

const fn after(slot: usize) -> usize {
    slot.wrapping_add(1) & MASK
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs at compile time")]
const fn build() -> [u16; SLOTS] {
    assert!(SLOTS.is_power_of_two() && COMMANDS.len() * 3 <= SLOTS);
    let mut index = [EMPTY; SLOTS];
    let mut next = 0;
    while next < COMMANDS.len() {
        let name = COMMANDS[next].name.as_bytes();
        assert!(name.len() <= LONGEST);
        let mut slot = hash(name);
        while index[slot] != EMPTY {
            slot = after(slot);
        }
        index[slot] = next as u16;
        next += 1;
    }
    index
}
