//! A link that carries the stateless commands of many sessions, interleaved, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slotmap::{DefaultKey, SlotMap};

use super::SessionId;
use super::links::Purpose;
use super::session::Session;
use crate::resp::{Head, ReplyScanner};
use crate::session::{Counts, Limits, Unexpected, plain_replies, replied, replied_plainly};

/// What a shared link keeps besides its buffers.
pub(super) struct Shared {
    purpose: Purpose,
    scanner: ReplyScanner,
    /// Whose replies are due, in order: so many for a session, then so many for the next. A session
    /// that has gone keeps its place, and its replies are dropped.
    due: VecDeque<(SessionId, u32)>,
    /// The sum of the counts in `due`.
    in_flight: usize,
    /// Whether the frame being read has begun to go to its session.
    in_frame: bool,
    /// Whether the frame being read is a push, which is nobody's reply.
    in_push: bool,
    /// Sessions whose requests wait for room.
    waiting: VecDeque<SessionId>,
    /// Whether it takes no more sessions.
    retired: bool,
    /// Until when a slow reader may hold up those behind it.
    patience: Option<Instant>,
}

/// Sessions that got bytes, in order; one that got them in several runs may come several times.
#[derive(Default)]
pub(super) struct Reached(Vec<SessionId>);

impl Reached {
    pub(super) fn add(&mut self, id: SessionId) {
        if self.0.last() != Some(&id) {
            self.0.push(id);
        }
    }

    /// Takes them, and keeps the room that they had.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = SessionId> {
        self.0.drain(..)
    }
}

impl Shared {
    /// Replies due on one link at which its sessions are paused; on a retired one, where a pipeline
    /// goes on that nobody reads yet, runs of replies.
    const MAX_IN_FLIGHT: usize = 65_536;
    /// How long a retired link waits for a slow reader while others' replies are behind it.
    const PATIENCE: Duration = Duration::from_secs(1);

    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            scanner: ReplyScanner::new(),
            due: VecDeque::new(),
            in_flight: 0,
            in_frame: false,
            in_push: false,
            waiting: VecDeque::new(),
            retired: false,
            patience: None,
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let due = if self.is_retired() { self.due.len() } else { self.in_flight };
        due >= Self::MAX_IN_FLIGHT
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    /// One more reply is due to `session`.
    pub(super) fn expect(&mut self, session: SessionId) {
        self.in_flight = self.in_flight.saturating_add(1);
        if let Some((last, count)) = self.due.back_mut()
            && *last == session
            && let Some(more) = count.checked_add(1)
        {
            *count = more;
            return;
        }
        self.due.push_back((session, 1));
    }

    /// Has `session`, which is not waiting yet, told when there is room.
    pub(super) fn wait(&mut self, session: SessionId) {
        self.waiting.push_back(session);
    }

    /// Puts sessions that wait already before those that have come to wait since.
    pub(super) fn wait_first(&mut self, mut sessions: VecDeque<SessionId>) {
        sessions.append(&mut self.waiting);
        self.waiting = sessions;
    }

    /// The sessions that wait for room.
    pub(super) fn take_waiting(&mut self) -> VecDeque<SessionId> {
        std::mem::take(&mut self.waiting)
    }

    /// Every session with a reply due.
    pub(super) fn creditors(&self) -> impl Iterator<Item = SessionId> {
        self.due.iter().map(|(session, _)| *session)
    }

    /// The session whose reply is due next, and whether others' are behind it.
    pub(super) fn front(&self) -> Option<(SessionId, bool)> {
        self.due.front().map(|(session, _)| (*session, self.due.len() > 1))
    }

    /// The link is read no further for a while, for the sake of a slow reader.
    pub(super) fn have_patience(&mut self, now: Instant) {
        self.patience = self.patience.or_else(|| now.checked_add(Self::PATIENCE));
    }

    /// The slow reader has caught up.
    pub(super) fn forgive(&mut self) {
        self.patience = None;
    }

    /// Whether a retired link is to be read when `unread` bytes wait for the session in front.
    ///
    /// With nobody behind it, as a lease would be. Else it is read on at once, so that those behind
    /// get theirs, until the session is close to the limit at which it is given up; then it has
    /// [`Shared::PATIENCE`] to catch up.
    pub(super) fn wants_read(
        &self,
        unread: usize,
        others: bool,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        match self.patience {
            _ if !others => unread < limits.client_pause(),
            Some(until) => now >= until,
            None => unread < limits.output_pause(),
        }
    }

    /// Takes bytes of the link in and gives them to the sessions they are due to.
    ///
    /// # Errors
    /// [`Unexpected`]; what came before it has been given out.
    pub(super) fn receive(
        &mut self,
        mut input: &[u8],
        sessions: &mut SlotMap<DefaultKey, Session>,
        limits: &Limits,
        reached: &mut Reached,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        while !input.is_empty() {
            let taken = self.receive_whole(input, sessions, limits, reached, counts);
            if taken > 0 {
                input = input.get(taken..).unwrap_or_default();
                continue;
            }
            let scan = self.scanner.scan(input)?;
            let (piece, rest) = input.split_at_checked(scan.len).unwrap_or((input, &[]));
            input = rest;
            if !self.in_frame {
                self.in_push = piece.first() == Some(&b'>');
                self.in_frame = true;
            }
            if self.in_push {
                if scan.done {
                    self.pass_over()?;
                }
                continue;
            }
            let (id, _) = self.front().ok_or(Unexpected::Reply)?;
            let kind = self.scanner.kind();
            if let Some(session) = sessions.get_mut(id.key()) {
                reached.add(id);
                session.take_reply(piece, limits);
                if scan.done {
                    let Session { due, state, output, .. } = session;
                    replied(kind, true, state, due, output, counts)?;
                }
            }
            if scan.done {
                self.in_frame = false;
                self.pop(1);
            }
        }
        Ok(())
    }

    /// Takes replies that are all there, one after the other, and that the session in front expects
    /// and nothing is to be learned from: most are such, and go to it in one piece. Returns how many
    /// bytes they have.
    #[inline]
    fn receive_whole(
        &mut self,
        input: &[u8],
        sessions: &mut SlotMap<DefaultKey, Session>,
        limits: &Limits,
        reached: &mut Reached,
        counts: &mut Counts,
    ) -> usize {
        let Some(&(id, owed)) = self.due.front().filter(|_| !self.in_frame) else { return 0 };
        let Some(session) = sessions.get_mut(id.key()) else { return 0 };
        let (len, many) = plain_replies(input, &session.due, owed);
        if many == 0 {
            return 0;
        }
        reached.add(id);
        session.take_reply(input.get(..len).unwrap_or_default(), limits);
        replied_plainly(many, &mut session.due, &mut session.output, counts);
        self.pop(many);
        len
    }

    /// A push has ended. Nobody on a shared link has asked for anything out of band, but whoever
    /// knows its number can have Redis send invalidations there (`CLIENT TRACKING ON REDIRECT`).
    /// They are dropped, so that this ends nobody else's session.
    fn pass_over(&mut self) -> Result<(), Unexpected> {
        self.in_frame = false;
        match self.scanner.head() {
            Head::Word(b"invalidate") => Ok(()),
            _ => Err(Unexpected::Reply),
        }
    }

    /// So many replies have come to the session in front.
    fn pop(&mut self, many: u32) {
        self.in_flight = self.in_flight.saturating_sub(many as usize);
        if let Some((_, count)) = self.due.front_mut() {
            *count = count.saturating_sub(many);
            if *count == 0 {
                self.due.pop_front();
            }
        }
    }
}
