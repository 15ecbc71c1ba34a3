//! A set of rows of the built-in table.

use super::{COUNT, Spec};

const WORDS: usize = COUNT.div_ceil(64);

/// A set of rows, by their ids; a lookup is one bit test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdSet([u64; WORDS]);

impl Default for IdSet {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl IdSet {
    pub(crate) fn insert(&mut self, spec: &Spec) {
        let (word, bit) = place(spec);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn remove(&mut self, spec: &Spec) {
        let (word, bit) = place(spec);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    #[inline]
    pub(crate) fn contains(&self, spec: &Spec) -> bool {
        let (word, bit) = place(spec);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[inline]
fn place(spec: &Spec) -> (usize, u64) {
    (usize::from(spec.id >> 6), 1 << (spec.id & 63))
}
