//! A link that carries the stateless commands of many sessions, interleaved, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use slotmap::{DefaultKey, Key, SlotMap};

use super::fence::{Barrier, Fence, Form, Tokens};
use crate::resp::{Head, Protocol, ReplyScanner};
use crate::router::SessionId;
use crate::router::key::Lane;
use crate::router::session::Session;
use crate::session::{Counts, Limits, Unexpected, plain_replies, replied, replied_plainly};

/// What a shared link keeps besides its buffers.
pub(in crate::router) struct Shared {
    pub(in crate::router) scanner: ReplyScanner,
    /// Whose replies are due, in order: so many for a session, then so many for the next. A session
    /// that has gone keeps its place, and its replies are dropped. A barrier's is for [`nobody`].
    pub(in crate::router) due: VecDeque<(SessionId, u32)>,
    /// The sum of the counts in `due`.
    in_flight: usize,
    /// Whether the frame being read has begun to go to its session.
    pub(in crate::router) in_frame: bool,
    /// Whether the frame being read is a push, which is nobody's reply.
    pub(in crate::router) in_push: bool,
    /// Present if barriers keep its sessions apart.
    pub(in crate::router) fence: Option<Box<Fence>>,
    /// Sessions whose requests wait for room.
    waiting: VecDeque<SessionId>,
    /// Whether it takes no more sessions.
    retired: bool,
    /// Until when a slow reader may hold up those behind it.
    grace_until: Option<Instant>,
}

/// To whom the reply of a barrier is due: no session has this id.
pub(in crate::router) fn nobody() -> SessionId {
    SessionId(DefaultKey::null())
}

/// What the bytes of a shared link act on.
pub(in crate::router) struct Receipt<'a> {
    pub(in crate::router) sessions: &'a mut SlotMap<DefaultKey, Session>,
    pub(in crate::router) limits: &'a Limits,
    pub(in crate::router) reached: &'a mut Reached,
    pub(in crate::router) counts: &'a mut Counts,
    /// Sessions that got more or fewer replies than they asked for: they have to end.
    pub(in crate::router) mismatched: &'a mut Vec<SessionId>,
}

/// Sessions that got bytes, in order; one that got them in several runs may come several times.
#[derive(Default)]
pub(in crate::router) struct Reached(Vec<SessionId>);

impl Reached {
    pub(in crate::router) fn add(&mut self, id: SessionId) {
        if self.0.last() != Some(&id) {
            self.0.push(id);
        }
    }

    /// Takes them, and keeps the room that they had.
    pub(in crate::router) fn drain(&mut self) -> impl Iterator<Item = SessionId> {
        self.0.drain(..)
    }
}

impl Shared {
    /// Replies due on one link at which its sessions are paused; on a retired one, where a pipeline
    /// goes on that nobody reads yet, runs of replies.
    const MAX_IN_FLIGHT: usize = 65_536;
    /// How long a retired link waits for a slow reader while others' replies are behind it.
    const GRACE: Duration = Duration::from_secs(1);

    pub(in crate::router) fn new(lane: Lane) -> Self {
        Self {
            scanner: ReplyScanner::new(),
            due: VecDeque::new(),
            in_flight: 0,
            in_frame: false,
            in_push: false,
            fence: (lane != Lane::Plain).then(Box::default),
            waiting: VecDeque::new(),
            retired: false,
            grace_until: None,
        }
    }

    pub(in crate::router) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Bytes of memory that its queues have.
    pub(in crate::router) fn memory(&self) -> usize {
        self.due.capacity().saturating_mul(size_of::<(SessionId, u32)>())
    }

    /// Gives memory back that it does not need now.
    pub(in crate::router) fn compact(&mut self) {
        if self.due.capacity() / 4 > self.due.len() {
            self.due.shrink_to(self.due.len().saturating_mul(2));
        }
    }

    /// Returns whether nobody waits for anything on it.
    pub(in crate::router) fn is_unused(&self) -> bool {
        self.due.is_empty() && self.waiting.is_empty()
    }

    pub(in crate::router) fn is_full(&self) -> bool {
        let due = if self.is_retired() { self.due.len() } else { self.in_flight };
        due >= Self::MAX_IN_FLIGHT
    }

    pub(in crate::router) fn is_retired(&self) -> bool {
        self.retired
    }

    pub(in crate::router) fn retire(&mut self) {
        self.retired = true;
    }

    /// One more reply is due to `session`.
    pub(in crate::router) fn expect(&mut self, session: SessionId) {
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

    /// `session` is about to send a request: if another has sent before and barriers keep them apart,
    /// one is added to `requests`.
    pub(in crate::router) fn enter(
        &mut self,
        session: SessionId,
        protocol: Protocol,
        requests: &mut BytesMut,
        tokens: &mut Tokens,
        echoes: bool,
    ) {
        let Some(fence) = &self.fence else { return };
        if fence.open.is_some_and(|open| open != session) {
            self.bar(protocol, requests, tokens, echoes);
        }
        if let Some(fence) = &mut self.fence {
            fence.open = Some(session);
        }
    }

    /// Returns whether `session` has sent last and replies to it are due, so that nothing would tell that one
    /// of them is missing.
    pub(in crate::router) fn is_left_open_by(&self, session: SessionId) -> bool {
        let open = self.fence.as_ref().and_then(|fence| fence.open);
        open == Some(session) && !self.due.is_empty()
    }

    /// Returns whether a barrier has to be sent though no session sends anything.
    pub(in crate::router) fn wants_barrier(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.wants_barrier)
    }

    /// Returns whether the server has said that this user may not run `ECHO`.
    pub(in crate::router) fn may_not_echo(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.may_not_echo)
    }

    /// Closes the last session's run with a barrier, which is added to `requests`. `echoes`: whether
    /// the server lets this user run `ECHO`.
    pub(in crate::router) fn bar(
        &mut self,
        protocol: Protocol,
        requests: &mut BytesMut,
        tokens: &mut Tokens,
        echoes: bool,
    ) {
        let Some(fence) = &mut self.fence else { return };
        let insists = fence.insists || fence.wants_barrier || !echoes;
        let form = if insists { Form::Hello } else { Form::Echo };
        let session = fence.open.take().unwrap_or_else(nobody);
        let token = tokens.next();
        fence.sent.push_back(Barrier::write(session, form, protocol, token, requests));
        fence.wants_barrier = false;
        self.due.push_back((nobody(), 1));
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Has `session`, which is not waiting yet, told when there is room.
    pub(in crate::router) fn wait(&mut self, session: SessionId) {
        self.waiting.push_back(session);
    }

    /// Puts sessions that wait already before those that have come to wait since.
    pub(in crate::router) fn wait_first(&mut self, mut sessions: VecDeque<SessionId>) {
        sessions.append(&mut self.waiting);
        self.waiting = sessions;
    }

    /// The sessions that wait for room.
    pub(in crate::router) fn take_waiting(&mut self) -> VecDeque<SessionId> {
        std::mem::take(&mut self.waiting)
    }

    /// Every session with a reply due.
    pub(in crate::router) fn owed_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.due.iter().map(|(session, _)| *session)
    }

    /// The session to which all replies are due, if there is one such.
    pub(in crate::router) fn only_owed_session(&self) -> Option<SessionId> {
        let mut owed_sessions = self.owed_sessions().filter(|session| *session != nobody());
        let first = owed_sessions.next()?;
        owed_sessions.all(|session| session == first).then_some(first)
    }

    /// The session whose reply is due next, and whether others' are behind it.
    pub(in crate::router) fn front(&self) -> Option<(SessionId, bool)> {
        self.due.front().map(|(session, _)| (*session, self.due.len() > 1))
    }

    /// The link is read no further for a while, for the sake of a slow reader.
    pub(in crate::router) fn begin_grace(&mut self, now: Instant) {
        self.grace_until = self.grace_until.or_else(|| now.checked_add(Self::GRACE));
    }

    /// The slow reader has caught up.
    pub(in crate::router) fn end_grace(&mut self) {
        self.grace_until = None;
    }

    /// Returns whether a retired link is to be read when `unread` bytes wait for the session in front.
    ///
    /// With nobody behind it, as a lease would be. Else it is read on at once, so that those behind
    /// get theirs, until the session is close to the limit at which it is given up; then it has
    /// [`Shared::GRACE`] to catch up.
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

    /// Takes bytes of the link in and gives them to the sessions they are due to.
    ///
    /// # Errors
    /// [`Unexpected`]; what came before it has been given out.
    pub(in crate::router) fn receive(
        &mut self,
        mut input: &[u8],
        to: &mut Receipt<'_>,
    ) -> Result<(), Unexpected> {
        if self.fence.is_some() {
            return self.receive_fenced(input, to);
        }
        while !input.is_empty() {
            let taken = self.receive_whole(input, to);
            if taken > 0 {
                input = input.get(taken..).unwrap_or_default();
                continue;
            }
            let len = self.receive_piece(input, to)?;
            input = input.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes what `input` begins with up to the end of a frame, and gives it to the session in front.
    /// Returns how many bytes that is.
    pub(in crate::router) fn receive_piece(
        &mut self,
        input: &[u8],
        to: &mut Receipt<'_>,
    ) -> Result<usize, Unexpected> {
        let scan = self.scanner.scan(input)?;
        let piece = input.get(..scan.len).unwrap_or(input);
        if !self.in_frame {
            self.in_push = piece.first() == Some(&b'>');
            self.in_frame = true;
        }
        if self.scanner.is_interrupted() {
            // It is meant for somebody else: nobody who shares a link asks for pushes.
            return Err(Unexpected::Reply);
        }
        if self.in_push {
            if scan.done {
                self.pass_over()?;
            }
            return Ok(scan.len);
        }
        let (id, _) = self.front().ok_or(Unexpected::Reply)?;
        let kind = self.scanner.kind();
        if let Some(session) = to.sessions.get_mut(id.key()) {
            to.reached.add(id);
            session.take_reply(piece, to.limits);
            if scan.done {
                session.complete_greeting();
                let Session { due, state, output, .. } = session;
                replied(kind, true, state, due, output, to.counts)?;
            }
        }
        if scan.done {
            self.in_frame = false;
            self.pop(1);
        }
        Ok(scan.len)
    }

    /// Takes replies that are all there, one after the other, and that the session in front expects
    /// and nothing is to be learned from: most are such, and go to it in one piece. Returns how many
    /// bytes they have.
    #[inline]
    pub(in crate::router) fn receive_whole(&mut self, input: &[u8], to: &mut Receipt<'_>) -> usize {
        let Some(&(id, owed)) = self.due.front().filter(|_| !self.in_frame) else { return 0 };
        let Some(session) = to.sessions.get_mut(id.key()) else { return 0 };
        let (len, many) = plain_replies(input, &session.due, owed);
        if many == 0 {
            return 0;
        }
        to.reached.add(id);
        session.take_reply(input.get(..len).unwrap_or_default(), to.limits);
        replied_plainly(many, &mut session.due, &mut session.output, to.counts);
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

    /// Takes the first entry of what is due, with all that is left of it.
    pub(in crate::router) fn pop_entry(&mut self) -> Option<SessionId> {
        let (session, left) = self.due.pop_front()?;
        self.in_flight = self.in_flight.saturating_sub(left as usize);
        Some(session)
    }

    /// So many replies have come to the session in front.
    pub(in crate::router) fn pop(&mut self, many: u32) {
        self.in_flight = self.in_flight.saturating_sub(many as usize);
        if let Some((_, count)) = self.due.front_mut() {
            *count = count.saturating_sub(many);
            if *count == 0 {
                self.due.pop_front();
            }
        }
    }
}
