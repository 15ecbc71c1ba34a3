//! How many sessions there are, per worker and in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of sessions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load(Arc<AtomicUsize>);

impl Load {
    pub(crate) fn sessions(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more until the place is dropped; `None` when there are `max` already.
    pub(crate) fn take(&self, max: usize) -> Option<Place> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < max).then(|| taken + 1)
            })
            .ok()
            .map(|_| Place(self.clone()))
    }
}

/// One session's place in a [`Load`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Load);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let load = Load::default();
        let first = load.take(1).unwrap();
        assert!(load.take(1).is_none());
        drop(first);
        assert_eq!(load.sessions(), 0);
        assert!(load.take(1).is_some());
    }
}
