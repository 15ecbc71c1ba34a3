//! Finds a command by its name without allocation.
//!
//! The index is a hash table with open addressing that the compiler builds. It is about a fifth full,
//! so most look-ups of a command compare one name, and most look-ups of an unknown name compare none.

use super::Spec;
use super::table::COMMANDS;

/// Number of slots; a power of two.
const SLOTS: usize = 2048;
const MASK: usize = SLOTS.wrapping_sub(1);
const EMPTY: u16 = u16::MAX;

/// Length of the longest command name in bytes. A longer name is unknown without a look-up.
const LONGEST: usize = 32;

static INDEX: [u16; SLOTS] = build();

/// Returns the command called `name`, in any mixture of upper and lower case.
///
/// Subcommands are not found here: Redis has no command `config|get` either. A name with a NUL in it is
/// unknown; [`policy`](crate::policy) describes what Redis makes of such names.
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > LONGEST {
        return None;
    }
    let mut slot = hash(name);
    loop {
        // An empty slot holds a number that no command has.
        let spec = COMMANDS.get(usize::from(*INDEX.get(slot)?))?;
        if is_called(spec, name) {
            return Some(spec);
        }
        slot = after(slot);
    }
}

/// Returns the command, or the subcommand, called `name` (`client|kill`), in any mixture of upper and lower
/// case.
pub fn lookup_whole(name: &[u8]) -> Option<&'static Spec> {
    match memchr::memchr(b'|', name) {
        None => lookup(name),
        Some(bar) => {
            let word = name.get(bar.saturating_add(1)..)?;
            lookup(name.get(..bar)?).and_then(|spec| spec.subcommand(word))
        }
    }
}

/// Command names are short, and the table has them in lower case.
#[inline]
fn is_called(spec: &Spec, name: &[u8]) -> bool {
    let own = spec.name.as_bytes();
    own.len() == name.len()
        && own.iter().zip(name).all(|(own, sent)| *own == sent.to_ascii_lowercase())
}

/// Returns the slot at which the search for `name` begins, which is the same for upper and lower case.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "next < name.len()")]
const fn hash(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    let mut next = 0;
    while next < name.len() {
        hash = (hash ^ (name[next] | 0x20) as u32).wrapping_mul(0x85eb_ca6b);
        next += 1;
    }
    // The highest bits of a product depend on all bits of its factors.
    (hash >> (u32::BITS - SLOTS.trailing_zeros())) as usize
}

const fn after(slot: usize) -> usize {
    slot.wrapping_add(1) & MASK
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the function runs only at compile time"
)]
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
