//! Limits so small that schedules reach them.

use std::num::NonZeroU32;

use redoubt_core::session::{Limits, Rate};

use support::rng::Rng;

/// Returns the default limits often, and always where values that fill buffers must arrive.
pub(crate) fn limits(rng: &mut Rng, heavy: bool) -> Limits {
    let mut limits = Limits::default();
    if heavy {
        return limits;
    }
    if rng.one_in(3) {
        limits.in_flight = *rng.pick(&[1, 3, 20]);
    }
    if rng.one_in(4) {
        limits.turn = *rng.pick(&[1, 8, 30]);
    }
    if rng.one_in(4) {
        limits.subscriptions = 2;
    }
    if rng.one_in(4) {
        limits.rate = NonZeroU32::new(*rng.pick(&[2, 5, 30])).map(Rate::per_second);
    }
    limits
}
