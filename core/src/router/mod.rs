//! The sans-IO heart of one worker: its sessions, its links and the replies between them.
//!
//! Owns: every buffer, the association of sessions with links, and the order of replies. Leaves to
//! [`crate::session`]: what a request means; to the program: sockets, timers and logs.
//!
//! The shell hands in what happened (`client_bytes`, `link_bytes`, `tick`, …) with the time, then
//! carries out what came of it: it writes [`Router::output`] and [`Router::link_output`],
//! connects [`Router::next_link_to_open`], looks at [`Router::next_touched`], and reports
//! [`Router::next_event`]. It never has to know why.
//!
//! Invariants: a session uses one link at a time, so it has at most one lease, and all replies due from it come before it uses
//! another; a lease is used by its owner alone, and goes back to the pool only when nothing is due
//! and Redis has said that it holds no state; a shared link carries nothing that changes what
//! another session would be answered; every buffer has a bound at which the side that fills it is
//! no longer read.

mod client;
mod displaced;
mod key;
mod lifetime;
mod limits;
mod links;
mod not_now;
mod pipeline;
mod replies;
mod report;
mod rotation;
mod session;
mod stall;
mod upstream;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slotmap::SlotMap;

use crate::session::Rules;
use crate::upstream::Credentials;
use links::Links;
use replies::demultiplexer::Reached;
use session::Session;

pub use crate::ids::{LinkId, SessionId};
pub use key::{IdentityId, Lane, LinkKey, NodeId};
pub use limits::memory::MemoryBudget;
pub use limits::pause::Pauses;
pub use links::LinkBudget;
pub use report::counters::{Counters, Sample, Traffic};
pub use report::event::SessionEvent;
pub use report::gauges::{Gauges, LinkGauges};
pub use report::view::{LinkView, SessionView};
pub use stall::Stalled;
pub use upstream::LinkFault;

/// How long sessions may be what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to a right `AUTH`.
    pub auth: Duration,
    /// Of silence, with nothing due and nothing subscribed; zero for no limit.
    pub idle: Duration,
}

/// Whether sessions share links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Stateless commands go over shared links, and a session has a lease while it is stateful.
    Auto,
    /// Every session has a lease for its whole life.
    Off,
}

/// All sessions and links of one worker.
pub struct Router {
    rules: Arc<Rules>,
    timeouts: Timeouts,
    sharing: Sharing,
    /// Databases 0 up to this one, exclusive, are known to exist.
    databases: u32,
    sessions: SlotMap<slotmap::DefaultKey, Session>,
    links: Links,
    /// Sessions with something new to write, or finished.
    touched: VecDeque<SessionId>,
    events: VecDeque<SessionEvent>,
    /// Whom replies reach in one call; empty between calls, kept for its room.
    reached: Reached,
    /// Who got more or fewer replies than were asked for, in one call; empty between calls.
    mismatched: Vec<SessionId>,
    pauses: Pauses,
    counters: Counters,
    /// Whether Redis has told a client that it is a replica.
    read_only: bool,
    draining: bool,
    last_tick: Option<Instant>,
    memory: limits::memory::Share,
}

impl Router {
    /// A router without sessions whose links log in with `credentials`. `key` is a secret of its
    /// own, from the system's source of randomness: the tokens of barriers come from it.
    pub fn new(
        rules: Arc<Rules>,
        timeouts: Timeouts,
        credentials: Credentials,
        sharing: Sharing,
        key: [u8; 32],
    ) -> Self {
        Self {
            rules,
            timeouts,
            sharing,
            databases: 1,
            sessions: SlotMap::new(),
            links: Links::new(credentials, key),
            touched: VecDeque::new(),
            events: VecDeque::new(),
            reached: Reached::default(),
            mismatched: Vec::new(),
            pauses: Pauses::default(),
            counters: Counters::default(),
            read_only: false,
            draining: false,
            last_tick: None,
            memory: MemoryBudget::default().join(),
        }
    }

    /// Has its links counted together with those of other workers.
    pub fn counting_links(mut self, budget: LinkBudget) -> Self {
        self.links.share_budget(budget);
        self
    }

    /// Has links that are opened from here on log in with `credentials`.
    pub fn replace_credentials(&mut self, credentials: Credentials) {
        self.links.replace_credentials(credentials);
    }

    /// Puts other timeouts in force. The time to authenticate is that of the session's start.
    pub fn replace_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Returns how often sessions have been paused at their limits.
    pub fn pauses(&self) -> Pauses {
        self.pauses
    }

    /// Returns what has been counted, to be taken away.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Returns how many links are lent to one session each.
    pub fn lease_count(&self) -> usize {
        self.links.lease_count()
    }

    /// Returns how many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Returns how many sessions are not ending.
    pub fn going_on(&self) -> usize {
        self.sessions.values().filter(|session| session.ending.is_none()).count()
    }

    /// Returns whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A session that has something new to write, or is finished.
    pub fn next_touched(&mut self) -> Option<SessionId> {
        let id = self.touched.pop_front()?;
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.touched = false;
        }
        Some(id)
    }

    /// Something worth a log line.
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn touch(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id.0)
            && !session.touched
        {
            session.touched = true;
            self.touched.push_back(id);
        }
    }
}
