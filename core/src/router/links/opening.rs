//! Links that the shell is to connect, and those that wait until the server has time to prepare one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slotmap::{DefaultKey, SlotMap};

use super::held::Held;
use crate::router::LinkId;
use crate::upstream::Phase;

/// The links that are not connected yet.
///
/// A server may be up and yet have no time to prepare a link, as while a script overruns. From then on
/// one link at a time is tried, after a pause, and its outcome holds for all: they are opened, or their
/// requests are answered with the server's error. So a busy server gets one connection in
/// [`Opening::PAUSE`] from each worker, however many requests come.
#[derive(Default)]
pub(super) struct Opening {
    /// The links that the shell is to connect now.
    to_connect: VecDeque<LinkId>,
    /// When the next link is tried; `None` while the server has time, as far as is known.
    next_try: Option<Instant>,
    /// The link that is tried.
    tried: Option<LinkId>,
    /// The links that wait for the outcome. The shell does not know of them yet.
    waiting: VecDeque<LinkId>,
}

impl Opening {
    /// How long requests wait for the next try.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Takes a new link; `prepared` is true if the server has to do more for it than log it in.
    pub(super) fn add(&mut self, id: LinkId, prepared: bool) {
        if self.next_try.is_some() && prepared {
            self.waiting.push_back(id);
        } else {
            self.to_connect.push_back(id);
        }
    }

    /// Takes a link that the shell is to connect now.
    pub(super) fn next(&mut self) -> Option<LinkId> {
        self.to_connect.pop_front()
    }

    /// Notes that the server has no time to prepare `id`. Returns the links that have waited for it,
    /// whose requests get the same answer.
    pub(super) fn not_now(
        &mut self,
        id: LinkId,
        links: &mut SlotMap<DefaultKey, Held>,
        now: Instant,
    ) -> VecDeque<LinkId> {
        self.next_try = now.checked_add(Self::PAUSE);
        self.tried.take_if(|tried| *tried == id);
        if self.tried.is_some() {
            return VecDeque::new();
        }
        self.take_waiting(links)
    }

    /// Tries the next link when it is time, and opens all when one has been prepared, or has failed
    /// for another reason.
    pub(super) fn try_again(&mut self, links: &mut SlotMap<DefaultKey, Held>, now: Instant) {
        let Some(next_try) = self.next_try else { return };
        if let Some(tried) = self.tried {
            let phase = links.get(tried.0).map_or(Phase::Closed, |held| held.link.phase());
            if matches!(phase, Phase::Ready | Phase::Closed) {
                self.next_try = None;
                self.tried = None;
                let waiting = self.take_waiting(links);
                self.to_connect.extend(waiting);
            }
        } else if now >= next_try {
            let mut waiting = self.take_waiting(links);
            self.tried = waiting.pop_front();
            self.waiting = waiting;
            self.to_connect.extend(self.tried);
            if self.tried.is_none() {
                self.next_try = None;
            }
        }
    }

    /// Takes the links that wait. The shell does not know of them, so those that have been closed
    /// meanwhile are removed from `links` here.
    fn take_waiting(&mut self, links: &mut SlotMap<DefaultKey, Held>) -> VecDeque<LinkId> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|id| {
            let held = links.get(id.0);
            let is_open = held.is_some_and(|held| held.link.phase() != Phase::Closed);
            if !is_open {
                links.remove(id.0);
            }
            is_open
        });
        waiting
    }
}
