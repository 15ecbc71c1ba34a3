//! The one place where bytes of links become bytes for clients.
//!
//! A link belongs to one session, or many sessions share it. In both cases its frames are read in order,
//! and each frame goes to the session whose reply is next ([`Recipients`]), but only if the session's own
//! queue of pending replies names this link.
//!
//! Frames are forwarded as they arrive, so that a value of any size needs no memory here. Only the first
//! bytes of a frame, a few dozen, are held until the frame is classified.

use bytes::{BufMut, BytesMut};

use super::renaming::{self, Renaming};
use crate::resp::{Part, ReplyScanner};
use crate::router::session::Session;
use crate::router::sessions::Sessions;
use crate::router::{LinkId, SessionId};
use crate::session::{Begun, Counts, Frame, Rules, Source, Unexpected};

/// The reply that says only that a request succeeded.
const OK: &[u8] = b"+OK\r\n";

/// The position in the frames of one link.
#[derive(Default)]
pub(in crate::router) struct Reader {
    scanner: ReplyScanner,
    /// The class of the frame that has begun, once it is known.
    frame: Option<Frame>,
    /// The bytes of that frame, until its class is known.
    held: BytesMut,
    /// The end of an error's text that may begin the name of a user.
    begun: renaming::Begun,
    /// True once bytes have been dropped without being read, because the session that owns the link has its last
    /// reply.
    unread: bool,
}

/// The sessions whose replies a link brings, in order.
pub(in crate::router) trait Recipients {
    /// True if the link belongs to one session.
    const IS_OWN: bool;

    /// Returns the session that the next frame belongs to, and how many replies it gets before another session
    /// gets one; `None` when no reply is pending.
    fn front(&self) -> Option<(SessionId, u32)>;

    /// Removes `many` replies, which have been given to the session in front.
    fn answered(&mut self, many: u32);
}

/// The session that a link belongs to: it gets all frames, also those that answer no request.
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

/// Sessions that got bytes, in order. A session that got bytes in several runs may be in it several times.
#[derive(Default)]
pub(in crate::router) struct Reached(Vec<SessionId>);

impl Reached {
    #[inline]
    fn add(&mut self, id: SessionId) {
        if self.0.last() != Some(&id) {
            self.0.push(id);
        }
    }

    /// Removes the sessions; the list keeps its capacity.
    pub(in crate::router) fn drain(&mut self) -> impl Iterator<Item = SessionId> {
        self.0.drain(..)
    }
}

impl Reader {
    /// Number of bytes of a frame that are held until its class is known; with Redis a few dozen are needed.
    const MAX_HELD: usize = 64 << 10;

    /// Returns whether all frames that have begun are complete and have been read.
    #[inline]
    pub(in crate::router) fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.held.is_empty() && !self.unread
    }

    /// Forgets the frame that has begun: the next byte begins another frame.
    pub(in crate::router) fn begin_frame(&mut self) {
        *self = Self::default();
    }

    /// Takes the bytes of one frame for `session`, which is `None` if it has ended. Returns their number, and
    /// whether a reply is complete with them.
    ///
    /// # Errors
    /// As [`Demultiplexer::receive`].
    fn take_frame(
        &mut self,
        input: &[u8],
        from: Source,
        mut session: Option<&mut Session>,
        (rules, renaming): (&Rules, &Renaming<'_>),
        counts: &mut Counts,
    ) -> Result<(usize, bool), Unexpected> {
        if from.is_own && !self.reads_frames_for(session.as_deref_mut(), input) {
            return Ok((input.len(), false));
        }
        let (Part { scan, is_error_text }, frame) = self.scan(input, from, session.as_deref())?;
        let Some(frame) = frame else { return Ok((scan.len, false)) };
        if let Some(session) = session {
            let piece = input.get(..scan.len).unwrap_or(input);
            if is_error_text {
                self.held.extend_from_slice(piece);
                let (text, of) = (self.held.split(), (frame, &self.scanner));
                self.begun.append(text, session, of, renaming, &rules.limits);
            } else {
                if !self.held.is_empty() {
                    session.append_piece(frame, &self.held, &rules.limits);
                    self.held.clear();
                }
                session.append_piece(frame, piece, &rules.limits);
            }
            if scan.done {
                session.complete(frame, &self.scanner, rules, counts)?;
            }
            if !from.is_own {
                session.check_output_limit(&rules.limits);
            }
        }
        if scan.done {
            self.end_frame();
        }
        Ok((scan.len, scan.done && frame.is_reply()))
    }

    /// Scans the next bytes of a frame, up to its end or the beginning or the end of an error's text. Returns their
    /// number, and the class of the frame once it is known.
    /// `session` is `None` if the session that the frame belongs to has ended.
    ///
    /// # Errors
    /// [`Unexpected`] if no session may get the frame.
    #[inline]
    fn scan(
        &mut self,
        input: &[u8],
        from: Source,
        session: Option<&Session>,
    ) -> Result<(Part, Option<Frame>), Unexpected> {
        let part = self.scanner.scan_part(input)?;
        let scan = part.scan;
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
                Some(session) => begun.classify(&session.state, &session.pending)?,
                None => begun.classify_for_nobody()?,
            };
            if self.frame.is_none() {
                self.held.put_slice(piece);
                if self.held.len() > Self::MAX_HELD {
                    return Err(Unexpected::Reply);
                }
            }
        }
        Ok((part, self.frame))
    }

    /// Ends the frame that has begun.
    fn end_frame(&mut self) {
        self.frame = None;
        self.held.clear();
        // It is empty, unless its session has ended in the middle of it.
        self.begun = renaming::Begun::default();
    }

    /// Returns whether `input`, on a link that belongs to `session`, must be read frame by frame. If not, it
    /// has been given to the client, or dropped.
    fn reads_frames_for(&mut self, session: Option<&mut Session>, input: &[u8]) -> bool {
        let Some(session) = session else { return false };
        if self.is_between_frames() && session.takes_unread() {
            session.append_reply(input);
            return false;
        }
        // Once the client has its last reply, no more bytes of Redis are for it.
        self.unread |= session.has_last_reply() && self.frame.is_none();
        !self.unread
    }

    /// Drops the bytes of a push that begins with `input`, or continues there if an earlier call has begun it.
    /// Returns their number; `None` if `input` begins with something else.
    pub(in crate::router) fn skip_push(&mut self, input: &[u8]) -> Option<usize> {
        let continues = self.frame == Some(Frame::Stray);
        let begins = self.is_between_frames() && input.first() == Some(&b'>');
        if !continues && !begins {
            return None;
        }
        let scan = self.scanner.scan(input).ok()?;
        self.frame = (!scan.done).then_some(Frame::Stray);
        Some(scan.len)
    }
}

/// The parts of the router that the bytes of one link change.
pub(in crate::router) struct Demultiplexer<'a> {
    /// The link that brings them.
    pub(in crate::router) link: LinkId,
    pub(in crate::router) reader: &'a mut Reader,
    pub(in crate::router) sessions: &'a mut Sessions,
    pub(in crate::router) rules: &'a Rules,
    /// What clients are shown in the place of the link's user.
    pub(in crate::router) renaming: Renaming<'a>,
    pub(in crate::router) counts: &'a mut Counts,
    /// Sessions that got bytes are added.
    pub(in crate::router) reached: &'a mut Reached,
    /// Sessions that got more or fewer replies than they asked for are added: they have to end.
    pub(in crate::router) mismatched: &'a mut Vec<SessionId>,
}

impl Demultiplexer<'_> {
    /// Takes bytes of the link in and gives them to the sessions that they belong to.
    ///
    /// # Errors
    /// [`Unexpected`]; the bytes before it have been given to their sessions, the rest is lost with the link.
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

    /// Takes the first bytes of `input`, which is not empty: whole plain replies, or the bytes of one frame. Gives
    /// them to the session in front, and returns their number.
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
        let mut session = self.sessions.get_mut(id);
        if let Some(session) = &mut session {
            self.reached.add(id);
            if self.reader.is_between_frames() {
                let (len, many) = session.pending.find_plain(input, self.link, count);
                if many > 0 {
                    session.append_reply(input.get(..len).unwrap_or_default());
                    session.pending.take_plain(many, &mut session.output, self.counts);
                    recipients.answered(many);
                    if !R::IS_OWN {
                        session.check_output_limit(&self.rules.limits);
                    }
                    return Ok(len);
                }
                // The reply to MULTI is too frequent to be scanned.
                if R::IS_OWN && input.starts_with(OK) && session.pending.expects_success(self.link)
                {
                    session.complete_success(OK, self.counts)?;
                    recipients.answered(1);
                    return Ok(OK.len());
                }
            }
        }
        let from = Source { link: self.link, is_own: R::IS_OWN };
        let (len, answered) = self.reader.take_frame(
            input,
            from,
            session,
            (self.rules, &self.renaming),
            self.counts,
        )?;
        if answered {
            recipients.answered(1);
        }
        Ok(len)
    }

    /// Takes the bytes of a frame although no reply is pending on the link.
    #[cold]
    fn take_unasked(&mut self, input: &[u8]) -> Result<usize, Unexpected> {
        let from = Source { link: self.link, is_own: false };
        let (Part { scan, .. }, frame) = self.reader.scan(input, from, None)?;
        if frame.is_some_and(Frame::is_reply) {
            return Err(Unexpected::Reply);
        }
        if scan.done {
            self.reader.end_frame();
        }
        Ok(scan.len)
    }
}
