//! Links that wait until the server has time to prepare one of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Links;
use crate::router::LinkId;
use crate::upstream::{Link, Phase};

/// Links to be opened while the server has no time to prepare any. One at a time is tried, after a
/// pause, and what comes of it holds for all: they are opened, or their requests are answered with
/// the server's error. So a busy server gets one connection in [`NotNow::PAUSE`] from each worker,
/// however many requests come.
#[derive(Default)]
pub(super) struct NotNow {
    /// When the next one is tried; `None` while the server has time, as far as is known.
    until: Option<Instant>,
    /// The one that is tried.
    tried: Option<LinkId>,
    /// Those that wait for it.
    waiting: VecDeque<LinkId>,
}

impl NotNow {
    /// How long requests wait for the next try.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Returns whether `link` must wait, and does from now on.
    pub(super) fn holds(&mut self, link: &Link, id: LinkId) -> bool {
        let holds = self.until.is_some() && link.selects_database();
        if holds {
            self.waiting.push_back(id);
        }
        holds
    }
}

impl Links {
    /// The server has no time to prepare `id`. Returns the links that have waited for it, whose
    /// requests get the same answer; the shell does not know of them yet.
    pub(in crate::router) fn not_now(&mut self, id: LinkId, now: Instant) -> VecDeque<LinkId> {
        let not_now = &mut self.not_now;
        not_now.until = now.checked_add(NotNow::PAUSE);
        not_now.tried.take_if(|tried| *tried == id);
        if not_now.tried.is_some() {
            return VecDeque::new();
        }
        self.take_unopened()
    }

    /// Tries the next link when it is time, and opens all when one has been prepared, or has failed
    /// for another reason.
    pub(super) fn try_again(&mut self, now: Instant) {
        let Some(until) = self.not_now.until else { return };
        if let Some(tried) = self.not_now.tried {
            let phase = self.get(tried).map_or(Phase::Closed, |held| held.link.phase());
            if matches!(phase, Phase::Ready | Phase::Closed) {
                self.not_now.until = None;
                self.not_now.tried = None;
                let waiting = self.take_unopened();
                self.to_open.extend(waiting);
            }
        } else if now >= until {
            let mut waiting = self.take_unopened();
            self.not_now.tried = waiting.pop_front();
            self.not_now.waiting = waiting;
            self.to_open.extend(self.not_now.tried);
            if self.not_now.tried.is_none() {
                self.not_now.until = None;
            }
        }
    }

    /// Takes the links that wait. The shell does not know of them yet, so those that have been closed
    /// meanwhile are removed here.
    fn take_unopened(&mut self) -> VecDeque<LinkId> {
        let mut waiting = std::mem::take(&mut self.not_now.waiting);
        waiting.retain(|id| {
            let held = self.all.get(id.0);
            let stays = held.is_some_and(|held| held.link.phase() != Phase::Closed);
            if !stays {
                self.all.remove(id.0);
            }
            stays
        });
        waiting
    }
}
