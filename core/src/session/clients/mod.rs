//! What clients know of each other: the numbers of sessions, and lines that describe them.

pub(super) mod ids;
pub(super) mod kill;
pub(super) mod list;
pub(super) mod own;
