//! Counts sessions, per worker and in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of sessions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load(Arc<AtomicUsize>);

impl Load {
    pub(crate) fn sessions(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more session until the returned place is dropped.
    pub(crate) fn take(&self) -> Place {
        self.0.fetch_add(1, Ordering::Relaxed);
        Place(self.clone())
    }
}

/// Counts as one session in a [`Load`] until it is dropped.
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
    fn dropping_a_place_lowers_the_count() {
        let load = Load::default();
        let (first, second) = (load.take(), load.take());
        assert_eq!(load.sessions(), 2);
        drop(first);
        assert_eq!(load.sessions(), 1);
        drop(second);
        assert_eq!(load.sessions(), 0);
    }
}
