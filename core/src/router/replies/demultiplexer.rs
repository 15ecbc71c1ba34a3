//! The one place where bytes of a link become bytes for clients.
//!
//! A link belongs to one session, or many share it. Either way its frames are read one after the other,
//! and each goes to the session whose reply comes next ([`Recipients`]), but only if the session's own
//! queue of pending replies names this link.
//!
//! Frames are passed on as they arrive, so that a value of any size needs no room here. Only the first
//! bytes of a frame are held until it is known what it is: a few dozen bytes.

use bytes::{BufMut, BytesMut};
use slotmap::{DefaultKey, SlotMap};

use crate::resp::{ReplyScanner, Scan};
use crate::router::session::Session;
use crate::router::{LinkId, SessionId};
use crate::session::{Begun, Counts, Frame, Rules, Source, Unexpected};

/// How far the frames of one link have been read.
#[derive(Default)]
pub(in crate::router) struct Reader {
    scanner: ReplyScanner,
    /// What the frame is that has begun, once that is known.
    frame: Option<Frame>,
    /// The bytes of that frame, until then.
    held: BytesMut,
    /// True once bytes have been dropped unread, as the session that owns the link had its last reply.
    unread: bool,
}

/// Whose replies a link brings, in order.
pub(in crate::router) trait Recipients {
    /// True if the link belongs to one session.
    const IS_OWN: bool;

    /// The session that the next frame is for, and how many replies it is to get before another session
    /// gets one; `None` when no reply is pending.
    fn front(&self) -> Option<(SessionId, u32)>;

    /// So many replies have been given to the session in front.
    fn answered(&mut self, many: u32);
}

/// The session that a link belongs to: all frames are for it, also those that answer nothing.
pub(in crate::router) struct Owner(pub(in crate::router) SessionId);

impl Recipients for Owner {
    const IS_OWN: bool = true;

    #[inline]
    fn front(&self) -> Option<(SessionId, u32)> {
        Some((self.0, u32::MAX))
    }

    #[inline]
    fn answered(&mut self, _: u32) {}
}

/// Sessions that got bytes, in order. A session that got them in several runs may come several times.
#[derive(Default)]
pub(in crate::router) struct Reached(Vec<SessionId>);

impl Reached {
    #[inline]
    fn add(&mut self, id: SessionId) {
        if self.0.last() != Some(&id) {
            self.0.push(id);
        }
    }

    /// Takes them out; the list keeps its capacity.
    pub(in crate::router) fn drain(&mut self) -> impl Iterator<Item = SessionId> {
        self.0.drain(..)
    }
}

impl Reader {
    /// Most bytes held while it is not known what a frame is; Redis needs a few dozen.
    const MAX_HELD: usize = 64 << 10;

    /// Returns whether all frames that have begun are complete and have been read.
    #[inline]
    pub(in crate::router) fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.held.is_empty() && !self.unread
    }

    /// Forgets the frame that has begun: the next byte begins another.
    pub(in crate::router) fn begin_frame(&mut self) {
        *self = Self::default();
    }

    /// Takes the bytes of one frame for `session`, which may have gone. Returns how many they are, and whether
    /// a reply is complete with them.
    ///
    /// # Errors
    /// As [`Demultiplexer::receive`].
    fn take_frame(
        &mut self,
        input: &[u8],
        from: Source,
        mut session: Option<&mut Session>,
        rules: &Rules,
        counts: &mut Counts,
    ) -> Result<(usize, bool), Unexpected> {
        if from.is_own && !self.goes_on_for(session.as_deref_mut(), input) {
            return Ok((input.len(), false));
        }
        let (scan, frame) = self.scan(input, from, session.as_deref())?;
        let Some(frame) = frame else { return Ok((scan.len, false)) };
        if let Some(session) = session {
            if !self.held.is_empty() {
                session.take_piece(frame, &self.held, &rules.limits);
                self.held.clear();
            }
            session.take_piece(frame, input.get(..scan.len).unwrap_or(input), &rules.limits);
            if scan.done {
                session.complete(frame, &self.scanner, rules, counts)?;
            }
            if !from.is_own {
                session.bound_output(&rules.limits);
            }
        }
        if scan.done {
            self.end_frame();
        }
        Ok((scan.len, scan.done && frame.is_reply()))
    }

    /// Passes over the next bytes of a frame. Returns how many they are, and what the frame is once that is
    /// known: for `session` if it has not gone.
    ///
    /// # Errors
    /// [`Unexpected`] if nobody may get the frame.
    #[inline]
    fn scan(
        &mut self,
        input: &[u8],
        from: Source,
        session: Option<&Session>,
    ) -> Result<(Scan, Option<Frame>), Unexpected> {
        let scan = self.scanner.scan(input)?;
        if self.scanner.is_interrupted() {
            let may_get = |session: &Session| from.is_own && session.state.holds_lease();
            if !session.is_some_and(may_get) {
                // A push within a reply may be meant for another session.
                return Err(Unexpected::Reply);
            }
        }
        if self.frame.is_none() {
            let piece = input.get(..scan.len).unwrap_or(input);
            let begun = Begun { from, scanner: &self.scanner, held: &self.held, piece };
            self.frame = match session {
                Some(session) => begun.classify(&session.state, &session.due)?,
                None => begun.classify_for_nobody()?,
            };
            if self.frame.is_none() {
                self.held.put_slice(piece);
                if self.held.len() > Self::MAX_HELD {
                    return Err(Unexpected::Reply);
                }
            }
        }
        Ok((scan, self.frame))
    }

    /// The frame that had begun is complete.
    fn end_frame(&mut self) {
        self.frame = None;
        self.held.clear();
    }

    /// Returns whether `input`, on a link that belongs to `session`, has to be read frame by frame. If not, it
    /// has been given to the client, or dropped.
    fn goes_on_for(&mut self, session: Option<&mut Session>, input: &[u8]) -> bool {
        let Some(session) = session else { return false };
        if self.is_between_frames() && session.takes_unread() {
            session.take_reply(input);
            return false;
        }
        // Once the client has been given its last reply, Redis says nothing more to it.
        self.unread |= session.has_all() && self.frame.is_none();
        !self.unread
    }

    /// Drops a push that begins `input`, or goes on there if an earlier call has begun it. Returns how many
    /// bytes of it there were; `None` if `input` holds something else.
    pub(in crate::router) fn skip_push(&mut self, input: &[u8]) -> Option<usize> {
        let goes_on = self.frame == Some(Frame::Stray);
        let begins = self.is_between_frames() && input.first() == Some(&b'>');
        if !goes_on && !begins {
            return None;
        }
        let scan = self.scanner.scan(input).ok()?;
        self.frame = (!scan.done).then_some(Frame::Stray);
        Some(scan.len)
    }
}

/// What the bytes of one link act on.
pub(in crate::router) struct Demultiplexer<'a> {
    /// The link that brings them.
    pub(in crate::router) link: LinkId,
    pub(in crate::router) reader: &'a mut Reader,
    pub(in crate::router) sessions: &'a mut SlotMap<DefaultKey, Session>,
    pub(in crate::router) rules: &'a Rules,
    pub(in crate::router) counts: &'a mut Counts,
    /// Sessions that got bytes are added.
    pub(in crate::router) reached: &'a mut Reached,
    /// Sessions that got more or fewer replies than they asked for are added: they have to end.
    pub(in crate::router) mismatched: &'a mut Vec<SessionId>,
}

impl Demultiplexer<'_> {
    /// Takes bytes of the link in and gives them to the sessions that they are for.
    ///
    /// # Errors
    /// [`Unexpected`]; what came before it has been given out, the rest is lost with the link.
    pub(in crate::router) fn receive(
        &mut self,
        mut input: &[u8],
        recipients: &mut impl Recipients,
    ) -> Result<(), Unexpected> {
        while !input.is_empty() {
            let len = self.take(input, recipients)?;
            input = input.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes what `input`, which is not empty, begins with: whole replies that nothing is special about,
    /// or the bytes of one frame. Gives them to the session in front, and returns how many bytes they were.
    ///
    /// # Errors
    /// As [`Demultiplexer::receive`].
    #[inline]
    pub(in crate::router) fn take<R: Recipients>(
        &mut self,
        input: &[u8],
        recipients: &mut R,
    ) -> Result<usize, Unexpected> {
        let Some((id, count)) = recipients.front() else { return self.take_unasked(input) };
        let mut session = self.sessions.get_mut(id.key());
        if let Some(session) = &mut session {
            self.reached.add(id);
            if self.reader.is_between_frames() {
                let (len, many) = session.due.find_plain(input, self.link, count);
                if many > 0 {
                    session.take_reply(input.get(..len).unwrap_or_default());
                    session.due.take_plain(many, &mut session.output, self.counts);
                    recipients.answered(many);
                    if !R::IS_OWN {
                        session.bound_output(&self.rules.limits);
                    }
                    return Ok(len);
                }
            }
        }
        let from = Source { link: self.link, is_own: R::IS_OWN };
        let (len, answered) =
            self.reader.take_frame(input, from, session, self.rules, self.counts)?;
        if answered {
            recipients.answered(1);
        }
        Ok(len)
    }

    /// Takes the bytes of a frame though no reply is pending on the link.
    #[cold]
    fn take_unasked(&mut self, input: &[u8]) -> Result<usize, Unexpected> {
        let from = Source { link: self.link, is_own: false };
        let (scan, frame) = self.reader.scan(input, from, None)?;
        if frame.is_some_and(Frame::is_reply) {
            return Err(Unexpected::Reply);
        }
        if scan.done {
            self.reader.end_frame();
        }
        Ok(scan.len)
    }
}
