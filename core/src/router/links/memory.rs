//! What links hold in memory.

use super::{Links, Usage};
use crate::router::LinkId;

impl Links {
    /// Bytes that the buffers of a link have.
    pub(in crate::router) fn memory_of(&self, id: LinkId) -> usize {
        self.all.get(id.0).map_or(0, |held| held.link.memory())
    }

    /// Bytes that all links have in buffers and queues.
    pub(in crate::router) fn memory(&self) -> usize {
        self.all.values().fold(0, |sum: usize, held| {
            let queues = match &held.usage {
                Usage::Shared(shared) => shared.queue.memory(),
                _ => 0,
            };
            sum.saturating_add(held.link.memory()).saturating_add(queues)
        })
    }

    /// Gives memory back that links do not need now; all of it that they keep for later when `hard`.
    pub(in crate::router) fn compact(&mut self, hard: bool) {
        for held in self.all.values_mut() {
            held.link.compact(hard);
            if let Usage::Shared(shared) = &mut held.usage {
                shared.queue.compact();
            }
        }
    }
}
