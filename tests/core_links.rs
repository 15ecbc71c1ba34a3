//! The bounds on links and memory over all workers, and links that stall, by hand.

#[path = "core_links/bound.rs"]
mod bound;
#[path = "core_links/cap.rs"]
mod cap;
#[path = "core_links/memory.rs"]
mod memory;
#[path = "core_shared/places.rs"]
mod places;
#[path = "core_links/stall.rs"]
mod stall;

use redoubt_core::router::LinkBudget;

use places::Places;

/// Sessions that share links, with no more than so many of them.
fn with_links(most: usize) -> (Places, LinkBudget) {
    let budget = LinkBudget::new(most);
    let mut places = Places::new();
    places.bench = places.bench.counting_links(&budget);
    (places, budget)
}
