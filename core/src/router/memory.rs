//! What happens at the bound on the memory of all sessions that have authenticated.
//!
//! A session is counted when its buffers have grown, and each session at every tick. From three quarters
//! of the bound on, a session that holds much is not read until it holds less; at the bound the session
//! that holds most, of all workers, is closed.

use std::time::Instant;

use super::limits::pause::Pause;
use super::{Router, SessionId};
use crate::session::CloseReason;

impl Router {
    fn most_memory(&self) -> u64 {
        self.rules.strangers().limits.memory
    }

    /// Counts a session whose buffers have grown, and applies the bound.
    #[cold]
    pub(super) fn count_memory(&mut self, id: SessionId, now: Instant) {
        self.count_session(id);
        if self.memory.held_by_all() > self.most_memory() && !self.memory.has_checked {
            self.relieve(now);
        }
    }

    fn count_session(&mut self, id: SessionId) {
        let most = self.most_memory();
        let Some(session) = self.sessions.get_mut(id) else { return };
        let lease = session.link.filter(|_| session.state.is_leased());
        let link = lease.map_or(0, |link| self.links.memory_of(link));
        let held = session.memory().saturating_add(link) as u64;
        let before = std::mem::replace(&mut session.counted, held);
        self.memory.change(before, held, most);
        let memory_paused = self.memory.is_under_pressure() && session.has_much_to_do();
        if memory_paused && !session.memory_paused {
            self.pauses.count(Pause::Memory);
        }
        session.memory_paused |= memory_paused;
    }

    /// Resumes a session that waits because memory is short, if it need not wait any more.
    pub(super) fn end_memory_pause(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.memory_paused && !(self.memory.is_under_pressure() && session.has_much_to_do()) {
            session.memory_paused = false;
            self.resume(id, now);
            self.sessions.touch(id);
        }
    }

    /// Counts all sessions and links, frees what they do not need, resumes sessions that need not wait any
    /// more, and closes the largest where all hold too much. Called at each tick.
    pub(super) fn tick_memory(&mut self, now: Instant) {
        let hard = self.memory.is_under_pressure();
        self.sessions.values_mut().for_each(|session| session.compact(hard));
        self.links.compact(hard);
        let largest = self.count_all();
        self.memory.note_largest(largest.map_or(0, |(_, size)| size));
        self.memory.has_checked = false;
        self.relieve(now);
        for id in self.sessions.paused_for_memory() {
            self.end_memory_pause(id, now);
        }
    }

    /// Counts all sessions and links exactly. Returns the session that holds most, and how many bytes it holds.
    fn count_all(&mut self) -> Option<(SessionId, u64)> {
        let most = self.most_memory();
        let mut all = self.links.memory() as u64;
        let mut largest = None;
        for (id, session) in self.sessions.iter_mut() {
            let held = session.memory() as u64;
            all = all.saturating_add(held);
            let lease = session.link.filter(|_| session.state.is_leased() && !session.dead);
            let link = lease.map_or(0, |link| self.links.memory_of(link) as u64);
            session.counted = held.saturating_add(link);
            if largest.is_none_or(|(_, most)| session.counted > most) {
                largest = Some((id, session.counted));
            }
        }
        self.memory.change(self.memory.counted(), all, most);
        largest.filter(|(_, size)| *size > 0)
    }

    /// Closes the largest session, again and again, while all hold too much. Where another worker has
    /// the largest session, that worker closes it, soon; until then a session is closed here only far above
    /// the bound.
    fn relieve(&mut self, now: Instant) {
        let most = self.most_memory();
        while self.memory.held_by_all() > most {
            let Some((id, size)) = self.count_all() else { break };
            let held = self.memory.held_by_all();
            let is_far_over = held > most.saturating_add(most / 8);
            if held <= most || (!self.memory.note_largest(size) && !is_far_over) {
                break;
            }
            self.close_for_memory(id, now);
        }
        self.memory.has_checked = self.memory.held_by_all() > most;
    }

    fn close_for_memory(&mut self, id: SessionId, now: Instant) {
        let most = self.most_memory();
        if let Some(session) = self.sessions.get_mut(id) {
            session.kill(CloseReason::Memory);
            session.drop_buffers();
            let before = std::mem::take(&mut session.counted);
            if let Some(link) = session.link.filter(|_| session.state.is_leased()) {
                self.drop_link(link, CloseReason::Memory, now);
            }
            self.memory.change(before, 0, most);
        }
        self.sessions.touch(id);
    }
}
