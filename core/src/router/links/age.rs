//! How old links may become before new ones replace them, which find where the server is now.

use std::time::{Duration, Instant};

use super::held::Held;
use crate::router::LinkId;

/// The bounds on the age of links.
#[derive(Default)]
pub(super) struct AgeLimit {
    /// How old a link may become; zero for any age.
    max_age: Duration,
    /// Links that were opened at this time or before are replaced as soon as possible.
    outdated: Option<Instant>,
}

impl AgeLimit {
    /// Sets how old links may become; zero for any age.
    pub(super) fn set_max_age(&mut self, max_age: Duration) {
        self.max_age = max_age;
    }

    /// Notes that all links that exist at `now` are to be replaced.
    pub(super) fn outdate(&mut self, now: Instant) {
        self.outdated = Some(now);
    }

    /// Returns whether a lease that is returned is closed, because a new link is to replace it.
    pub(super) fn is_outdated(&self, id: LinkId, held: &Held, now: Instant) -> bool {
        self.outdated.is_some_and(|then| held.opened <= then) || self.is_old(id, held, now)
    }

    /// Returns whether a link is older than it may become. Each link may live up to an eighth less, so
    /// that links that were opened together are not replaced together.
    pub(super) fn is_old(&self, id: LinkId, held: &Held, now: Instant) -> bool {
        !self.max_age.is_zero()
            && now.saturating_duration_since(held.opened) >= share_of(self.max_age, id)
    }
}

/// Returns seven eighths of `max_age` to all of it, depending on the link's number.
fn share_of(max_age: Duration, id: LinkId) -> Duration {
    // The golden ratio's fraction spreads consecutive numbers.
    let number = slotmap::Key::data(&id.0).as_ffi().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = u32::try_from(number >> 48).unwrap_or_default();
    let eighth = max_age.checked_div(8).unwrap_or_default();
    let younger = eighth.saturating_mul(part).checked_div(1 << 16).unwrap_or_default();
    max_age.saturating_sub(younger)
}
