//! The bounds on links and memory over all workers, and links that stall, by hand.

mod bound;
mod cap;
mod memory;
mod stall;

use redoubt_core::router::LinkBudget;

use crate::places::Places;

/// Sessions that share links, with no more than so many of them.
fn with_links(most: usize) -> (Places, LinkBudget) {
    let budget = LinkBudget::new(most);
    let mut places = Places::new();
    places.bench = places.bench.counting_links(&budget);
    (places, budget)
}
