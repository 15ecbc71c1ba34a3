//! Records what identities do, and finds the smallest rule of Redis's ACL that allows it.
//!
//! Owns: the patterns of keys (`pattern`, `names`), the shape of requests (`shape`), what a worker records
//! ([`Recorder`]), the
//! commands that scripts name (`calls`, `scripts`), the profile of an identity ([`Profile`]), and the rule that it needs
//! ([`Proposal`]).
//! Leaves to the program: when it is recorded, where profiles are kept, and the trial of rules at the server.
//!
//! Invariants: no value of an argument is kept, and of keys only parts that do not vary; samples for `ACL DRYRUN`
//! have whole keys, and are in memory only until they have been tried. Every table has a bound.

mod calls;
mod combination;
mod hash;
mod names;
mod pattern;
mod profile;
mod proposal;
mod rebuild;
mod recorder;
mod scripts;
mod shape;
mod trial;
mod unused;
mod usage;

pub use combination::{Combination, Origin, Unclear};
pub use profile::{Profile, Used};
pub use proposal::{Database, Proposal, Word};
pub(crate) use recorder::Seen;
pub use recorder::{Recorded, Recorder, Sample};
pub use scripts::ScriptsSeen;
pub use trial::{Part, Tried};
pub use unused::unused;
pub use usage::Usage;
