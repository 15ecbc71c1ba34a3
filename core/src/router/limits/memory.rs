//! What all sessions that have authenticated hold together, and what becomes of it at the bound.
//!
//! A session is counted when its buffers have grown, and each one at every tick. From three quarters of
//! the bound on, one that holds much is not read until it holds less; at the bound the session that
//! holds most, of all workers, is closed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::BytesMut;

use super::pause::Pause;
use crate::router::session::Session;
use crate::router::{Router, SessionId};
use crate::session::CloseReason;

/// What workers hold, together. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct MemoryBudget(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Bytes that all workers hold.
    all: AtomicU64,
    /// What the largest session of each worker holds. Touched at ticks and at the bound.
    largest: Mutex<Vec<u64>>,
}

/// One worker's part of a [`MemoryBudget`].
#[derive(Debug)]
pub(in crate::router) struct Share {
    budget: MemoryBudget,
    index: usize,
    /// Bytes that are counted for this worker.
    counted: u64,
    /// Whether all together hold so much that clients should wait.
    is_under_pressure: bool,
    /// Whether it was looked since the last tick whether a session of this worker is to be closed.
    has_looked: bool,
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
            has_looked: false,
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

    /// What was counted as `before` is `now`, where `most` is the bound.
    fn change(&mut self, before: u64, now: u64, most: u64) {
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

    /// Returns whether a session of this worker that holds `size` is the largest of all workers.
    fn is_largest(&self, size: u64) -> bool {
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
        self.is_largest(0);
    }
}

impl Session {
    /// Bytes from which on a session is counted between ticks, and waits while memory is short.
    pub(in crate::router) const MUCH: usize = 64 << 10;
    /// Bytes of a buffer from which on it is copied when it holds far less than it could.
    const COMPACTED: usize = 32 << 10;

    /// Returns whether it may hold much. To be cheap, it looks at what grows fast, and at nothing else.
    #[inline]
    pub(in crate::router) fn may_hold_much(&self) -> bool {
        // The bound is a power of two, so this is whether one of them is above it.
        let all = self.output.capacity() | self.input.capacity() | self.due.memory_at_least();
        all >= Self::MUCH || self.streaming.is_some()
    }

    /// Bytes that it holds, beyond what every session does. None before it has authenticated: those are
    /// counted elsewhere.
    fn memory(&self) -> usize {
        if !self.state.is_authenticated() || self.dead {
            return 0;
        }
        self.output
            .capacity()
            .max(self.output_allocated)
            .saturating_add(self.input.capacity().max(self.input_allocated))
            .saturating_add(self.due.memory())
            .saturating_add(self.parser.memory())
    }

    /// Returns whether taking more of its requests would make it hold much more. What has come of a request
    /// does not count: its rest must come, so that it can be dealt with.
    fn has_much_to_do(&self) -> bool {
        self.output.len().saturating_add(self.due.weight()) >= Self::MUCH
    }

    /// Gives memory back that it does not need now.
    fn compact(&mut self, hard: bool) {
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
        self.due.compact();
    }
}

impl Router {
    /// Has what its sessions hold counted together with what those of other workers do.
    pub fn counting_memory(mut self, budget: &MemoryBudget) -> Self {
        self.memory = budget.join();
        self
    }

    /// Bytes that its sessions and links hold, as they were counted last.
    pub fn memory(&self) -> u64 {
        self.memory.counted()
    }

    /// Counts what a session holds whose buffers have grown, and what follows from that.
    #[cold]
    pub(in crate::router) fn count_memory(&mut self, id: SessionId, now: Instant) {
        self.count(id);
        if self.memory.budget.held() > self.most_memory() && !self.memory.has_looked {
            self.relieve(now);
        }
    }

    fn most_memory(&self) -> u64 {
        self.rules.limits.memory
    }

    fn count(&mut self, id: SessionId) {
        let most = self.most_memory();
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        let own = session.link.filter(|_| session.state.is_leased());
        let link = own.map_or(0, |link| self.links.memory_of(link));
        let held = session.memory().saturating_add(link) as u64;
        let before = std::mem::replace(&mut session.counted, held);
        self.memory.change(before, held, most);
        let memory_paused = self.memory.is_under_pressure() && session.has_much_to_do();
        if memory_paused && !session.memory_paused {
            self.pauses.count(Pause::Memory);
        }
        session.memory_paused |= memory_paused;
    }

    /// Lets a session go on that waits as memory is short, if it need not wait any more.
    pub(in crate::router) fn end_memory_pause(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id.0) else { return };
        if session.memory_paused && !(self.memory.is_under_pressure() && session.has_much_to_do()) {
            session.memory_paused = false;
            self.resume(id, now);
            self.touch(id);
        }
    }

    /// Counts all sessions and links, gives back what they do not need, lets those go on that need not
    /// wait any more, and closes the largest where all hold too much. To be called at each tick.
    pub(in crate::router) fn tick_memory(&mut self, now: Instant) {
        let hard = self.memory.is_under_pressure();
        self.sessions.values_mut().for_each(|session| session.compact(hard));
        self.links.compact(hard);
        let largest = self.count_all();
        self.memory.is_largest(largest.map_or(0, |(_, size)| size));
        self.memory.has_looked = false;
        self.relieve(now);
        let waiting = self.sessions.iter().filter(|(_, session)| session.memory_paused);
        for id in waiting.map(|(key, _)| SessionId(key)).collect::<Vec<_>>() {
            self.end_memory_pause(id, now);
        }
    }

    /// Counts all sessions and links exactly. Returns the session that holds most, and how much.
    fn count_all(&mut self) -> Option<(SessionId, u64)> {
        let most = self.most_memory();
        let mut all = self.links.memory() as u64;
        let mut largest = None;
        for (key, session) in &mut self.sessions {
            let held = session.memory() as u64;
            all = all.saturating_add(held);
            let own = session.link.filter(|_| session.state.is_leased() && !session.dead);
            let link = own.map_or(0, |link| self.links.memory_of(link) as u64);
            session.counted = held.saturating_add(link);
            if largest.is_none_or(|(_, most)| session.counted > most) {
                largest = Some((SessionId(key), session.counted));
            }
        }
        self.memory.change(self.memory.counted, all, most);
        largest.filter(|(_, size)| *size > 0)
    }

    /// Closes the largest session, again and again, while all hold too much. Where another worker has
    /// the largest, that one closes it, soon; until then only far above the bound is one closed here.
    fn relieve(&mut self, now: Instant) {
        let most = self.most_memory();
        while self.memory.budget.held() > most {
            let Some((id, size)) = self.count_all() else { break };
            let held = self.memory.budget.held();
            let is_far_over = held > most.saturating_add(most / 8);
            if held <= most || (!self.memory.is_largest(size) && !is_far_over) {
                break;
            }
            self.close_for_memory(id, now);
        }
        self.memory.has_looked = self.memory.budget.held() > most;
    }

    fn close_for_memory(&mut self, id: SessionId, now: Instant) {
        let most = self.most_memory();
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.kill(CloseReason::Memory);
            session.drop_buffers();
            let before = std::mem::take(&mut session.counted);
            if let Some(link) = session.link.filter(|_| session.state.is_leased()) {
                self.drop_link(link, CloseReason::Memory, now);
            }
            self.memory.change(before, 0, most);
        }
        self.touch(id);
    }
}
