//! What Redoubt tells of itself, as `/stats` and `/sessions` of the admin port give it and
//! `redoubt stats` and `redoubt sessions` read it.

mod sessions;
mod stats;

pub use sessions::{Session, Sessions};
pub use stats::{
    CommandStats, LinkStats, LoginStats, ProcessStats, RefusedBy, ReloadStats, SessionStats, Stats,
    UpstreamStats,
};
