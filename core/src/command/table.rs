//! Makes the specs from the rows at compile time: a mistake in the rows stops the build.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the function runs only at compile time"
)]

use super::row::Row;
use super::{Spec, generated};

const COMMAND_COUNT: usize = generated::COMMANDS.len();
const SUBCOMMAND_COUNT: usize = generated::SUBCOMMANDS.len();

/// Number of specs, subcommands included.
pub const COUNT: usize = COMMAND_COUNT + SUBCOMMAND_COUNT;

/// All commands, in byte order of their names; a spec's id is its index.
pub(super) static COMMANDS: [Spec; COMMAND_COUNT] = {
    let rows = &generated::COMMANDS;
    assert_order(rows);
    let mut specs = [rows[0].spec(0, &[]); COMMAND_COUNT];
    let mut next = 0;
    let mut owned = 0;
    while next < COMMAND_COUNT {
        let subcommands = subcommands_of(rows[next].name);
        specs[next] = rows[next].spec(next, subcommands);
        owned += subcommands.len();
        next += 1;
    }
    assert!(owned == SUBCOMMAND_COUNT, "a subcommand has no container");
    specs
};

/// All subcommands, in byte order, so that the subcommands of one container are adjacent.
pub(super) static SUBCOMMANDS: [Spec; SUBCOMMAND_COUNT] = {
    let rows = &generated::SUBCOMMANDS;
    assert_order(rows);
    let mut specs = [rows[0].spec(0, &[]); SUBCOMMAND_COUNT];
    let mut next = 0;
    while next < SUBCOMMAND_COUNT {
        specs[next] = rows[next].spec(COMMAND_COUNT + next, &[]);
        next += 1;
    }
    specs
};

const fn subcommands_of(container: &str) -> &'static [Spec] {
    let mut start = 0;
    while start < SUBCOMMAND_COUNT && !is_within(SUBCOMMANDS[start].name, container) {
        start += 1;
    }
    let mut end = start;
    while end < SUBCOMMAND_COUNT && is_within(SUBCOMMANDS[end].name, container) {
        end += 1;
    }
    SUBCOMMANDS.split_at(end).0.split_at(start).1
}

/// Returns true if `name` is `container`, a `|` and a subcommand.
const fn is_within(name: &str, container: &str) -> bool {
    let (name, container) = (name.as_bytes(), container.as_bytes());
    if name.len() <= container.len() || name[container.len()] != b'|' {
        return false;
    }
    let mut at = 0;
    while at < container.len() {
        if name[at] != container[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A name that is out of order or in the table twice stops the build.
const fn assert_order(rows: &[Row]) {
    let mut next = 1;
    while next < rows.len() {
        assert!(precedes(rows[next - 1].name, rows[next].name), "names out of order");
        next += 1;
    }
}

/// Returns true if `left` is strictly less than `right` in byte order.
const fn precedes(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] < right[at];
        }
        at += 1;
    }
    left.len() < right.len()
}
