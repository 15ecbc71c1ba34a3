//! The formats of `/stats` and `/sessions` on the admin port, which `redoubt stats` and `redoubt
//! sessions` read.

mod sessions;
mod stats;

pub use sessions::{Session, Sessions};
pub use stats::{
    CommandStats, LinkStats, LoginStats, ProcessStats, RefusedBy, ReloadStats, SessionStats, Stats,
    UpstreamStats,
};
