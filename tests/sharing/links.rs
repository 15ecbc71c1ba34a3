//! The limits on links and memory over all workers, and links that stall, without sockets.

mod bound;
mod cap;
mod memory;
mod stall;

use redoubt_core::router::LinkBudget;

use crate::places::Places;

/// Returns sessions that share at most this many links.
fn with_links(most: usize) -> (Places, LinkBudget) {
    let budget = LinkBudget::new(most);
    let mut places = Places::new();
    places.bench = places.bench.counting_links(&budget);
    (places, budget)
}
