//! A link that carries the stateless commands of many sessions, interleaved, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::demultiplexer::{Demultiplexer, Recipients};
use super::fence::{Barrier, Barriers, Fence, Form};
use super::queue::{Queue, nobody};
use crate::router::SessionId;
use crate::router::key::{Lane, LinkKey};
use crate::session::{Limits, Unexpected};

/// The state of a shared link, besides its buffers.
pub(in crate::router) struct Shared {
    /// The sessions with pending replies.
    pub(in crate::router) queue: Queue,
    /// Present if barriers keep its sessions apart.
    pub(in crate::router) fence: Option<Box<Fence>>,
    /// Sessions whose requests wait for room.
    waiting: VecDeque<SessionId>,
    /// True if the link takes no more sessions.
    retired: bool,
    /// Until when a slow reader may delay the sessions behind it.
    grace_until: Option<Instant>,
}

impl Shared {
    /// Number of pending replies at which the link's sessions are paused; on a retired link, where a pipeline
    /// continues whose replies are not read yet, number of runs.
    const MAX_IN_FLIGHT: usize = 65_536;
    /// How long a retired link waits for a slow reader while replies of other sessions follow.
    const GRACE: Duration = Duration::from_secs(1);

    pub(in crate::router) fn new(lane: Lane) -> Self {
        Self {
            queue: Queue::default(),
            fence: (lane != Lane::Plain).then(Box::default),
            waiting: VecDeque::new(),
            retired: false,
            grace_until: None,
        }
    }

    pub(in crate::router) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns whether no session waits for replies or for room.
    pub(in crate::router) fn is_unused(&self) -> bool {
        self.queue.is_empty() && self.waiting.is_empty()
    }

    pub(in crate::router) fn is_full(&self) -> bool {
        let pending = if self.is_retired() { self.queue.runs() } else { self.queue.replies() };
        pending >= Self::MAX_IN_FLIGHT
    }

    pub(in crate::router) fn is_retired(&self) -> bool {
        self.retired
    }

    pub(in crate::router) fn retire(&mut self) {
        self.retired = true;
    }

    /// Prepares for a request of `session`: adds a barrier to `requests` if another session has sent before and
    /// barriers keep them apart.
    pub(in crate::router) fn enter(
        &mut self,
        session: SessionId,
        key: LinkKey,
        requests: &mut BytesMut,
        barriers: &mut Barriers,
    ) {
        let Some(fence) = &self.fence else { return };
        if fence.open.is_some_and(|open| open != session) {
            self.add_barrier(key, requests, barriers);
        }
        if let Some(fence) = &mut self.fence {
            fence.open = Some(session);
        }
    }

    /// Returns whether `session` has sent last and has replies pending, so that a missing reply would not be
    /// noticed.
    pub(in crate::router) fn is_left_open_by(&self, session: SessionId) -> bool {
        let open = self.fence.as_ref().and_then(|fence| fence.open);
        open == Some(session) && !self.queue.is_empty()
    }

    /// Returns whether a barrier has to be sent though no session sends anything.
    pub(in crate::router) fn wants_barrier(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.wants_barrier)
    }

    /// Returns whether the server has said that this user may not run `ECHO`.
    pub(in crate::router) fn may_not_echo(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.may_not_echo)
    }

    /// Closes the last session's run with a barrier, which is added to `requests`.
    pub(in crate::router) fn add_barrier(
        &mut self,
        key: LinkKey,
        requests: &mut BytesMut,
        barriers: &mut Barriers,
    ) {
        let Some(fence) = &mut self.fence else { return };
        let insists = fence.insists || fence.wants_barrier;
        let form = if insists { Form::Hello } else { barriers.form(key.identity) };
        let session = fence.open.take().unwrap_or_else(nobody);
        let token = barriers.next_token();
        fence.sent.push_back(Barrier::write(session, form, key.protocol, token, requests));
        fence.wants_barrier = false;
        self.queue.push_barrier();
    }

    /// Adds `session`, which is not waiting yet, to those that wait for room.
    pub(in crate::router) fn wait(&mut self, session: SessionId) {
        self.waiting.push_back(session);
    }

    /// Puts `sessions`, which waited before, in front of those that have come to wait since.
    pub(in crate::router) fn wait_in_front(&mut self, mut sessions: VecDeque<SessionId>) {
        sessions.append(&mut self.waiting);
        self.waiting = sessions;
    }

    /// Takes the sessions that wait for room.
    pub(in crate::router) fn take_waiting(&mut self) -> VecDeque<SessionId> {
        std::mem::take(&mut self.waiting)
    }

    /// Returns every session with a pending reply, once for each run.
    pub(in crate::router) fn owed_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.queue.iter().map(|(session, _)| session)
    }

    /// Returns the session that all pending replies belong to, if there is such a session.
    pub(in crate::router) fn only_owed_session(&self) -> Option<SessionId> {
        let mut owed_sessions = self.owed_sessions().filter(|session| *session != nobody());
        let first = owed_sessions.next()?;
        owed_sessions.all(|session| session == first).then_some(first)
    }

    /// Returns the session whose reply is next, and whether replies of other sessions follow.
    pub(in crate::router) fn front(&self) -> Option<(SessionId, bool)> {
        self.queue.front().map(|(session, _)| (session, self.queue.runs() > 1))
    }

    /// Begins the time in which the link is not read, so that a slow reader can catch up.
    pub(in crate::router) fn begin_grace(&mut self, now: Instant) {
        self.grace_until = self.grace_until.or_else(|| now.checked_add(Self::GRACE));
    }

    /// Ends that time, because the slow reader has caught up.
    pub(in crate::router) fn end_grace(&mut self) {
        self.grace_until = None;
    }

    /// Returns whether a retired link is to be read when `unread` bytes wait for the session in front.
    ///
    /// If no other session's replies follow, the link is read as a lease would be. Otherwise it is read at once,
    /// so that the other sessions get their replies, until the session in front is close to its output limit;
    /// then it has [`Shared::GRACE`] to catch up.
    pub(in crate::router) fn wants_read(
        &self,
        unread: usize,
        others: bool,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        match self.grace_until {
            _ if !others => unread < limits.client_pause(),
            Some(until) => now >= until,
            None => unread < limits.output_pause(),
        }
    }

    /// Takes bytes of the link in and gives them to the sessions that they belong to.
    ///
    /// # Errors
    /// [`Unexpected`]; the bytes before it have been given to their sessions.
    pub(in crate::router) fn receive(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<(), Unexpected> {
        if self.fence.is_some() {
            self.receive_fenced(input, to)
        } else {
            to.receive(input, &mut self.queue)
        }
    }
}
