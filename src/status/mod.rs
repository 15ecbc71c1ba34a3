//! The formats of `/stats`, `/sessions`, `/refused`, `/learn` and `/observed` on the admin port, which `redoubt stats`,
//! `sessions`, `refused`, `learn` and `observed` read.

mod learn;
mod refused;
mod sessions;
mod stats;

pub use learn::{Check, Learned, NeededDatabase, NeededWord, Note, Observed, WouldRefuse};
pub use refused::{Refused, RefusedGroup};
pub use sessions::{Session, Sessions};
pub use stats::{
    CommandStats, IdentityStats, LinkStats, LoginStats, ProcessStats, RefusedBy, ReloadStats,
    SessionStats, Stats, UpstreamStats,
};
