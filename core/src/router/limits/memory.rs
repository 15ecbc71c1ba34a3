//! The memory of all sessions that have authenticated, in all workers together, and that of one session.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

use crate::router::session::Session;

/// The bytes that the sessions of all workers hold. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct MemoryBudget(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Bytes that all workers hold.
    all: AtomicU64,
    /// Bytes that the largest session of each worker holds. Locked only at ticks and at the bound.
    largest: Mutex<Vec<u64>>,
}

/// One worker's part of a [`MemoryBudget`].
#[derive(Debug)]
pub(in crate::router) struct Share {
    budget: MemoryBudget,
    index: usize,
    /// Bytes that are counted for this worker.
    counted: u64,
    /// True if all workers together hold so much that clients should wait.
    is_under_pressure: bool,
    /// True if it has been checked since the last tick whether a session of this worker is to be closed.
    pub(in crate::router) has_checked: bool,
}

impl MemoryBudget {
    /// Bytes that all workers hold.
    pub fn held(&self) -> u64 {
        self.0.all.load(Ordering::Relaxed)
    }

    pub(in crate::router) fn join(&self) -> Share {
        let mut largest = self.0.largest.lock().unwrap_or_else(PoisonError::into_inner);
        largest.push(0);
        let index = largest.len().saturating_sub(1);
        drop(largest);
        Share {
            budget: self.clone(),
            index,
            counted: 0,
            is_under_pressure: false,
            has_checked: false,
        }
    }
}

impl Share {
    /// Bytes that are counted for this worker.
    pub(in crate::router) fn counted(&self) -> u64 {
        self.counted
    }

    /// Returns whether clients that hold much should wait.
    pub(in crate::router) fn is_under_pressure(&self) -> bool {
        self.is_under_pressure
    }

    /// Returns the bytes that all workers hold.
    pub(in crate::router) fn held_by_all(&self) -> u64 {
        self.budget.held()
    }

    /// Counts `now` bytes in the place of `before`, where `most` is the bound.
    pub(in crate::router) fn change(&mut self, before: u64, now: u64, most: u64) {
        let all = &self.budget.0.all;
        if let Some(more) = now.checked_sub(before) {
            self.counted = self.counted.saturating_add(more);
            all.fetch_add(more, Ordering::Relaxed);
        } else {
            let less = before.saturating_sub(now).min(self.counted);
            self.counted = self.counted.saturating_sub(less);
            all.fetch_sub(less, Ordering::Relaxed);
        }
        self.is_under_pressure = self.budget.held() >= most.saturating_sub(most / 4);
    }

    /// Notes that the largest session of this worker holds `size` bytes. Returns whether it is the largest of
    /// all workers.
    pub(in crate::router) fn note_largest(&self, size: u64) -> bool {
        let mut largest = self.budget.0.largest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = largest.get_mut(self.index) {
            *mine = size;
        }
        largest.iter().all(|other| *other <= size)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.change(self.counted, 0, u64::MAX);
        self.note_largest(0);
    }
}

impl Session {
    /// Bytes at which a session is counted between ticks, and waits while memory is short.
    pub(in crate::router) const MUCH: usize = 64 << 10;
    /// Bytes of capacity at which a buffer is copied when it holds far less than it could.
    const COMPACTED: usize = 32 << 10;

    /// Returns whether the session may hold much. Only what grows fast is looked at, so that this is cheap.
    #[inline]
    pub(in crate::router) fn may_hold_much(&self) -> bool {
        // The bound is a power of two, so the result is at least the bound if one of the values is.
        let all = self.output.capacity() | self.input.capacity() | self.pending.memory_at_least();
        all >= Self::MUCH || self.streaming.is_some()
    }

    /// Returns the bytes that the session holds in addition to what every session holds. They are 0 until it
    /// has authenticated: [`Session::recount`] counts them until then.
    pub(in crate::router) fn memory(&self) -> usize {
        if !self.state.is_authenticated() || self.dead {
            return 0;
        }
        self.output
            .capacity()
            .max(self.output_allocated)
            .saturating_add(self.input.capacity().max(self.input_allocated))
            .saturating_add(self.pending.memory())
            .saturating_add(self.parser.memory())
    }

    /// Returns whether the session would hold much more if more of its requests were taken. The bytes of an
    /// incomplete request do not count, because its rest must be read before it can be processed.
    pub(in crate::router) fn has_much_to_do(&self) -> bool {
        self.output.len().saturating_add(self.pending.weight()) >= Self::MUCH
    }

    /// Frees memory that the session does not need now; if `hard`, also small amounts.
    pub(in crate::router) fn compact(&mut self, hard: bool) {
        let least = if hard { 0 } else { Self::COMPACTED };
        for (buffer, allocated) in [
            (&mut self.input, &mut self.input_allocated),
            (&mut self.output, &mut self.output_allocated),
        ] {
            let has = buffer.capacity().max(*allocated);
            if has > least && has / 2 > buffer.len() {
                *buffer = BytesMut::from(buffer.as_ref());
                *allocated = buffer.capacity();
            }
        }
        self.pending.compact();
    }
}
