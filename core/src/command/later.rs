//! Commands that are newer than the Redis of [`super::generated`], up to 8.0.
//!
//! Clients of a newer Redis use them; an older Redis answers that it does not know them. The tables are
//! written by hand, in byte order of the names.

use super::row::{Row, row};
use super::spec::Flag::*;

/// Newer commands. Those of vector sets have the arity -1 in Redis's own table and check their number
/// of arguments themselves.
#[rustfmt::skip]
pub(super) const COMMANDS: [Row; 24] = [
    row("hexpire", -6, &[Denyoom, Fast, Write], [1, 1, 1], [7, 4, 0]),
    row("hexpireat", -6, &[Denyoom, Fast, Write], [1, 1, 1], [7, 4, 0]),
    row("hexpiretime", -5, &[Fast, Readonly], [1, 1, 1], [7, 4, 0]),
    row("hgetdel", -5, &[Fast, Write], [1, 1, 1], [8, 0, 0]),
    row("hgetex", -5, &[Fast, Write], [1, 1, 1], [8, 0, 0]),
    row("hpersist", -5, &[Fast, Write], [1, 1, 1], [7, 4, 0]),
    row("hpexpire", -6, &[Denyoom, Fast, Write], [1, 1, 1], [7, 4, 0]),
    row("hpexpireat", -6, &[Denyoom, Fast, Write], [1, 1, 1], [7, 4, 0]),
    row("hpexpiretime", -5, &[Fast, Readonly], [1, 1, 1], [7, 4, 0]),
    row("hpttl", -5, &[Fast, Readonly], [1, 1, 1], [7, 4, 0]),
    row("hsetex", -6, &[Denyoom, Fast, Write], [1, 1, 1], [8, 0, 0]),
    row("httl", -5, &[Fast, Readonly], [1, 1, 1], [7, 4, 0]),
    row("vadd", -1, &[Denyoom, Write], [1, 1, 1], [8, 0, 0]),
    row("vcard", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vdim", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vemb", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vgetattr", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vinfo", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vlinks", -1, &[Fast, Readonly], [1, 1, 1], [8, 0, 0]),
    row("vrandmember", -1, &[Readonly], [1, 1, 1], [8, 0, 0]),
    row("vrem", -1, &[Write], [1, 1, 1], [8, 0, 0]),
    row("vsetattr", -1, &[Fast, Write], [1, 1, 1], [8, 0, 0]),
    row("vsim", -1, &[Readonly], [1, 1, 1], [8, 0, 0]),
    row("waitaof", 4, &[Blocking], [0, 0, 0], [7, 2, 0]),
];

/// Newer subcommands of containers that [`super::generated`] has.
#[rustfmt::skip]
pub(super) const SUBCOMMANDS: [Row; 3] = [
    row("client|no-touch", 3, &[Loading, Noscript, Stale], [0, 0, 0], [7, 2, 0]),
    row("client|setinfo", 4, &[Loading, Noscript, Stale], [0, 0, 0], [7, 2, 0]),
    row("cluster|myshardid", 2, &[Stale], [0, 0, 0], [7, 2, 0]),
];
