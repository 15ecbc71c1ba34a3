//! A table of the requests that were seen lately.

use std::mem;

/// A request that was seen lately.
#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    count: u32,
    place: u32,
}

impl Slot {
    const EMPTY: Self = Self { hash: 0, count: 0, place: Self::NONE };
    /// Place of a slot without a request.
    const NONE: u32 = u32::MAX;
}

/// How often the requests of late were seen, by their hashes. A new one takes the slot of an older one.
#[derive(Default)]
pub(super) struct Recent {
    slots: Option<Box<[Slot; Recent::SLOTS]>>,
}

/// Where a request is counted for good, and how often it was seen.
pub(super) type Counted = (u32, u64);

impl Recent {
    /// Number of slots.
    const SLOTS: usize = 1 << Self::BITS;
    const BITS: u32 = 10;

    /// Counts a request, if one with this hash has a slot.
    #[inline]
    pub(super) fn count(&mut self, hash: u64) -> bool {
        match self.slots.as_mut().and_then(|slots| slots.get_mut(Self::slot(hash))) {
            Some(slot) if slot.hash == hash && slot.place != Slot::NONE => {
                slot.count = slot.count.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Gives a request a slot, and counts it there. Returns the one that had it.
    #[inline]
    pub(super) fn put(&mut self, hash: u64, place: u32) -> Option<Counted> {
        let slots = self.slots.get_or_insert_with(|| Box::new([Slot::EMPTY; Self::SLOTS]));
        let slot = slots.get_mut(Self::slot(hash))?;
        let former = mem::replace(slot, Slot { hash, count: 1, place });
        (former.place != Slot::NONE).then_some((former.place, former.count.into()))
    }

    /// Returns how often each was seen since this was last called.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Counted> {
        let slots = self.slots.iter_mut().flat_map(|slots| slots.iter_mut());
        slots
            .filter(|slot| slot.place != Slot::NONE)
            .map(|slot| (slot.place, mem::take(&mut slot.count).into()))
    }

    /// Empties all slots.
    pub(super) fn clear(&mut self) {
        self.slots = None;
    }

    /// Returns the slot of a hash: its upper bits.
    #[inline]
    fn slot(hash: u64) -> usize {
        (hash >> (u64::BITS - Self::BITS)) as usize
    }
}
