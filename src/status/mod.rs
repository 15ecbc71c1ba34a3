//! The formats of `/stats`, `/sessions` and `/refused` on the admin port, which `redoubt stats`, `sessions` and
//! `refused` read.

mod refused;
mod sessions;
mod stats;

pub use refused::{Refused, RefusedGroup};
pub use sessions::{Session, Sessions};
pub use stats::{
    CommandStats, LinkStats, LoginStats, ProcessStats, RefusedBy, ReloadStats, SessionStats, Stats,
    UpstreamStats,
};
