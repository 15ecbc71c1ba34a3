//! The design's invariants, each attacked over sockets while sessions share links.
//!
//! `shared` and the simulation test them to the byte; the differential tests compare with Redis's
//! replies. Here a real Redis runs behind Redoubt, and its own view is checked too.

mod leases;
mod links;
mod pipeline;
mod privacy;
mod replica;
mod scripts;
mod slow;

use support::{Redis, Redoubt, frame};

/// Starts a Redis and a Redoubt whose sessions share links.
fn shared() -> (Redis, Redoubt) {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    (redis, redoubt)
}

/// Returns the lines as requests, split at spaces.
fn requests(lines: &[&str]) -> Vec<u8> {
    let words = |line: &&str| frame::request(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(words).collect()
}
