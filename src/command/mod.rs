//! The table of Redis commands: name, arity, flags, keys and effect on a connection.
//!
//! Owns: what is known of each command of Redis 7.0, and of those added up to 8.0. Leaves to
//! [`crate::policy`]: what may run; to [`crate::session`]: what an effect means for a session.
//!
//! Invariants: the tables are constants, checked by the compiler; looking a name up allocates
//! nothing and takes a time that does not depend on the client.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod effect;
mod generated;
mod index;
mod later;
mod spec;
mod table;
mod version;

pub use effect::{ChannelKind, Effect};
pub use index::lookup;
pub use spec::{Flag, Flags, Keys, Spec};
pub use table::COUNT;
pub use version::Version;

/// All commands, then all subcommands: [`COUNT`] of them, in the order of their ids.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    table::COMMANDS.iter().chain(&table::SUBCOMMANDS)
}
