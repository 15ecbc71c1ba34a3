//! The design's invariants, each attacked over sockets while sessions share links.
//!
//! What must hold at every byte is in `shared` and the simulation; what Redis itself would say is
//! in the differential test. Here a real Redis is behind, and its own view is asked too.

mod leases;
mod links;
mod pipeline;
mod privacy;
mod replica;
mod scripts;
mod slow;

use support::{Redis, Redoubt, frame};

/// A Redis and a Redoubt before it whose sessions share links.
fn shared() -> (Redis, Redoubt) {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    (redis, redoubt)
}

/// The requests that these lines are, split at spaces.
fn requests(lines: &[&str]) -> Vec<u8> {
    let words = |line: &&str| frame::request(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(words).collect()
}
