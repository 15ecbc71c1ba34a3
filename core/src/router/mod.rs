//! The core of one worker without I/O: its sessions, its links and the replies between them.
//!
//! [`Router`] owns every buffer, the association of sessions with links, and the order of replies. It
//! leaves to [`crate::session`] what a request means, and to the program sockets, timers and logs.
//!
//! The shell passes in what happened (`client_bytes`, `link_bytes`, `tick`, …) with the time, and then
//! carries out the effects: it writes [`Router::output`] and [`Router::link_output`], connects
//! [`Router::next_link_to_open`], looks at [`Router::next_touched`], and reports
//! [`Router::next_event`]. It need not know the reasons.
//!
//! Invariants: a session uses one link at a time, so it has at most one lease, and all its pending replies
//! come before it uses another link. A lease is used by its owner alone, and returns to the pool only
//! when no reply is pending and Redis has shown that the connection holds no state. A shared link
//! carries nothing that changes the replies of another session. Every buffer has a bound at which the
//! side that fills it is no longer read.
//!
//! The methods of [`Router`] are in `client` (what clients do), `upstream` (what links do), `link_end`
//! (how links end), `lifetime` (ticks, rules, drain), `moving` (notifications that clients are to reconnect) and
//! `memory` (the bound on memory). What concerns
//! sessions alone is in `sessions`, what concerns links alone in `links`.

mod client;
mod key;
mod lifetime;
mod limits;
mod link_end;
mod links;
mod memory;
mod moving;
mod pipeline;
mod replies;
mod report;
mod session;
mod sessions;
mod upstream;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::observe::{Recorder, ScriptsSeen};
use crate::session::{ClientLine, Described, Flush, Rulebook};
use crate::upstream::{Databases, LinkCredentials};
use links::{Links, Usage};
use replies::demultiplexer::Reached;
use report::view;
use sessions::Sessions;

pub use crate::ids::{LinkId, SessionId};
pub use key::{Lane, LinkKey, NodeId};
pub use limits::memory::MemoryBudget;
pub use limits::pause::Pauses;
pub use link_end::Stalled;
pub use links::LinkBudget;
pub use report::counters::{Counters, Sample, Traffic};
pub use report::event::SessionEvent;
pub use report::gauges::{Gauges, LinkGauges};
pub use report::view::{LinkView, SessionView};
pub use upstream::LinkFault;

/// How long sessions may stay in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start of a session to an `AUTH` with the right password.
    pub auth: Duration,
    /// Without a byte in either direction, while no reply is pending and nothing is subscribed; zero for no
    /// limit.
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
    rules: Arc<Rulebook>,
    timeouts: Timeouts,
    sharing: Sharing,
    /// Databases that sessions are known to be allowed to select.
    databases: Databases,
    sessions: Sessions,
    links: Links,
    events: VecDeque<SessionEvent>,
    jobs: Jobs,
    /// The sessions for which they are being collected, or that wait for the reply that they are for.
    listing: Vec<SessionId>,
    /// The sessions that replies reach in one call; empty between calls, kept for its capacity.
    reached: Reached,
    /// The sessions that got more or fewer replies than they asked for in one call; empty between calls.
    mismatched: Vec<SessionId>,
    pauses: Pauses,
    counters: Counters,
    recorder: Recorder,
    /// True if Redis has sent a client an error that says that it is a replica.
    read_only: bool,
    draining: bool,
    /// The last move, until all clients have been notified of it or it is over.
    moving: Option<moving::Moving>,
    last_tick: Option<Instant>,
    memory: limits::memory::Share,
}

/// What the program is to do for sessions that wait for it: at most one job for each.
#[derive(Default)]
struct Jobs {
    /// The sessions for which descriptions of clients are to be collected.
    listings: VecDeque<(SessionId, Described)>,
    /// The sessions for which keys are to be deleted.
    flushes: VecDeque<(SessionId, Flush)>,
}

impl Router {
    /// Creates a router without sessions, whose links log in with `credentials`. The tokens of barriers are
    /// made from `key`, a secret of this router's own from the system's source of randomness.
    pub fn new(
        rules: Arc<Rulebook>,
        timeouts: Timeouts,
        credentials: LinkCredentials,
        sharing: Sharing,
        key: [u8; 32],
    ) -> Self {
        Self {
            rules,
            timeouts,
            sharing,
            databases: Databases::default(),
            sessions: Sessions::default(),
            links: Links::new(credentials, key),
            events: VecDeque::new(),
            jobs: Jobs::default(),
            listing: Vec::new(),
            reached: Reached::default(),
            mismatched: Vec::new(),
            pauses: Pauses::default(),
            counters: Counters::default(),
            recorder: Recorder::new(seed(&key), ScriptsSeen::default()),
            read_only: false,
            draining: false,
            moving: None,
            last_tick: None,
            memory: MemoryBudget::default().join(),
        }
    }

    /// Counts its links together with those of other workers.
    pub fn counting_links(mut self, budget: LinkBudget) -> Self {
        self.links.share_budget(budget);
        self
    }

    /// Remembers the scripts of its sessions together with those of other workers.
    pub fn remembering_scripts(mut self, scripts: ScriptsSeen, key: &[u8; 32]) -> Self {
        self.recorder = Recorder::new(seed(key), scripts);
        self
    }

    /// Counts the memory of its sessions together with that of other workers.
    pub fn counting_memory(mut self, budget: &MemoryBudget) -> Self {
        self.memory = budget.join();
        self
    }

    /// Logs links that are opened from now on in with `credentials`.
    pub fn replace_credentials(&mut self, credentials: LinkCredentials) {
        self.links.replace_credentials(credentials);
    }

    /// Puts other timeouts in force. A session that has not authenticated keeps its deadline.
    pub fn replace_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// Sets the age at which links are replaced; zero for never.
    pub fn set_max_link_age(&mut self, max_age: Duration) {
        self.links.set_max_age(max_age);
    }

    /// Returns the rules in force.
    pub fn rules(&self) -> &Arc<Rulebook> {
        &self.rules
    }

    /// Returns how often sessions have been paused at their limits.
    pub fn pauses(&self) -> Pauses {
        self.pauses
    }

    /// Returns the counters, from which the shell takes what has been counted.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Returns the recorder of what observed sessions do.
    pub fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Returns the bytes that its sessions and links hold, as they were counted last.
    pub fn memory(&self) -> u64 {
        self.memory.counted()
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
        self.sessions.len() == 0
    }

    /// Returns the ids of all sessions.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.ids()
    }

    /// Takes a session that has something new to write, or is finished.
    pub fn next_touched(&mut self) -> Option<SessionId> {
        self.sessions.next_touched()
    }

    /// Takes an event for the log.
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Returns the gauges of this moment, which reads every session and link.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        self.links.add_to(&mut gauges);
        self.sessions.add_to(&mut gauges);
        gauges
    }

    /// Returns the requests that the present sessions have made, the bytes read from them and the bytes
    /// written to them.
    pub fn session_sums(&self) -> (u64, u64, u64) {
        self.sessions.values().fold(
            (0, 0, 0),
            |(commands, read, written): (u64, u64, u64), session| {
                (
                    commands.saturating_add(session.commands),
                    read.saturating_add(session.bytes_in),
                    written.saturating_add(session.bytes_out),
                )
            },
        )
    }

    /// Returns the present state of a session; `None` when it has ended.
    pub fn view(&self, id: SessionId, now: Instant) -> Option<SessionView> {
        let session = self.sessions.get(id)?;
        let link = session.link.map_or(LinkView::None, |link| self.link_view(link));
        Some(SessionView::of(session, link, now))
    }

    /// Returns what `CLIENT LIST` says of a session, without its addresses; `None` if it has not authenticated.
    pub fn client_line(&self, id: SessionId, now: Instant) -> Option<ClientLine> {
        view::line_of(self.sessions.get(id)?, now)
    }

    fn link_view(&self, id: LinkId) -> LinkView {
        // The upper half says how often the number has been used before.
        let number = slotmap::Key::data(&id.0).as_ffi() as u32;
        match self.links.get(id).map(|held| &held.usage) {
            Some(Usage::Shared(_)) => LinkView::Shared(number),
            Some(Usage::Lease(_)) => LinkView::Lease(number),
            Some(Usage::Returned(_) | Usage::Idle | Usage::Closed) | None => LinkView::None,
        }
    }
}

/// Returns a seed that nobody can derive the key from.
fn seed(key: &[u8; 32]) -> u64 {
    let digest = Sha256::new().chain_update(b"observe").chain_update(key).finalize();
    digest.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}
