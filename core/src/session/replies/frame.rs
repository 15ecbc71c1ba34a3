//! Classifies the frames that a link brings, and updates the session by them.

use bytes::{BufMut, BytesMut};

use super::counts::{Counts, Outcome};
use super::expect::{Expect, Learn, Show};
use super::maintenance::is_maintenance;
use super::pending::PendingReplies;
use super::pubsub::Notice;
use crate::ids::LinkId;
use crate::resp::Protocol;
use crate::resp::{Head, Kind, ReplyError, ReplyScanner};
use crate::session::state::State;

/// The class of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The frame is the next pending reply. `shown` is true if the client gets its bytes, `ran` if the server
    /// may have run the request.
    Reply { shown: bool, ran: bool },
    /// The frame is the next pending reply, which is changed before the client gets it.
    Edited,
    /// The frame is out of band: a message, an invalidation, or a confirmation.
    Notice(Option<Notice>),
    /// The frame is a push that no session on the link has asked for, or that no client may get. It is dropped.
    Stray,
}

/// A link sent a frame that nothing expects, or invalid bytes. The caller closes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// The bytes are not RESP.
    #[error("upstream sent an invalid frame: {0}")]
    Frame(#[from] ReplyError),
    /// The reply answers no request.
    #[error("upstream sent a reply that nothing expects")]
    Reply,
    /// The reply is an error to a request of Redoubt's own that prepares a link.
    #[error("upstream refused to prepare a link for its session")]
    Refused,
}

/// The origin of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The link that brings it.
    pub(crate) link: LinkId,
    /// True if one session has the link to itself.
    pub(crate) is_own: bool,
}

/// A frame that has begun and is not classified yet.
pub(crate) struct Begun<'a> {
    pub(crate) from: Source,
    pub(crate) scanner: &'a ReplyScanner,
    /// Bytes of the frame that came before `piece`.
    pub(crate) held: &'a [u8],
    /// The latest bytes of the frame.
    pub(crate) piece: &'a [u8],
}

impl Begun<'_> {
    /// Returns the class of the frame for the session of `state` and `pending`; `None` while it is not known.
    ///
    /// # Errors
    /// [`Unexpected::Reply`] if the session expects nothing of this kind from the link.
    pub(crate) fn classify(
        &self,
        state: &State,
        pending: &PendingReplies,
    ) -> Result<Option<Frame>, Unexpected> {
        let Some(kind) = self.scanner.kind() else { return Ok(None) };
        let front = pending.front_from(self.from.link);
        let confirms = matches!(front.map(|expect| expect.learn), Some(Learn::Confirmed(_)));
        let listens = self.from.is_own && (confirms || state.subscriptions.any());
        if kind == Kind::Push && !listens && !(self.from.is_own && state.may_get_pushes()) {
            return self.classify_stray();
        }
        if kind == Kind::Push
            || (kind == Kind::Array && listens && state.protocol == Protocol::Resp2)
        {
            let notice = match self.scanner.head() {
                Head::Pending => return Ok(None),
                Head::Word(word) if kind == Kind::Push && is_maintenance(word) => {
                    return Ok(Some(Frame::Stray));
                }
                Head::Word(word) => Notice::parse(word),
                Head::Other => None,
            };
            if kind == Kind::Push || notice.is_some() {
                return Ok(Some(Frame::Notice(notice)));
            }
        }
        match front {
            None => Err(Unexpected::Reply),
            Some(_) if confirms && kind != Kind::Error => Err(Unexpected::Reply),
            Some(expect) if kind == Kind::Error => Ok(self.classify_error(expect)),
            Some(Expect { show: Show::Edited(_), .. }) => Ok(Some(Frame::Edited)),
            Some(expect) => Ok(Some(Frame::Reply { shown: expect.show.passes(), ran: true })),
        }
    }

    /// Returns the class of the frame if the session that it belongs to has ended; `None` while it is not
    /// known.
    ///
    /// # Errors
    /// [`Unexpected::Reply`] for a push that may be meant for a session.
    pub(crate) fn classify_for_nobody(&self) -> Result<Option<Frame>, Unexpected> {
        match self.scanner.kind() {
            None => Ok(None),
            Some(Kind::Push) => self.classify_stray(),
            Some(_) => Ok(Some(Frame::Reply { shown: false, ran: true })),
        }
    }

    /// Classifies a push that the session in front has not asked for. A client that knows the link's id can make
    /// the server send invalidations here (`CLIENT TRACKING ON REDIRECT`): they are dropped, so that they
    /// end no session. So are maintenance notifications, which may hold an address of the server. Any other push
    /// may be meant for another session.
    ///
    /// # Errors
    /// [`Unexpected::Reply`] for any other push.
    pub(crate) fn classify_stray(&self) -> Result<Option<Frame>, Unexpected> {
        match self.scanner.head() {
            Head::Pending => Ok(None),
            Head::Word(b"invalidate") => Ok(Some(Frame::Stray)),
            Head::Word(word) if is_maintenance(word) => Ok(Some(Frame::Stray)),
            _ => Err(Unexpected::Reply),
        }
    }

    /// Returns the class of an error; `None` while it is not known.
    fn classify_error(&self, expect: &Expect) -> Option<Frame> {
        let unless = matches!(expect.show, Show::Unless(_));
        let refused = unless && self.begins_with(b"-NOPERM ")?;
        let unknown = expect.learn == Learn::Subcommand
            && (self.begins_with(b"-ERR unknown subcommand ")?
                // The text of Redis before 7.0.
                || self.begins_with(b"-ERR Unknown subcommand ")?);
        let shown = expect.show.passes() && !refused;
        Some(Frame::Reply { shown, ran: !refused && !unknown })
    }

    /// Returns whether the frame begins with `start`; `None` while that is not known.
    fn begins_with(&self, start: &[u8]) -> Option<bool> {
        let mut bytes = self.held.iter().chain(self.piece);
        for wanted in start {
            if bytes.next()? != wanted {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Frame {
    /// Handles the end of the frame. If it answers a request, counts that and updates the session's state; appends
    /// to `output` what follows it for the client.
    ///
    /// # Errors
    /// [`Unexpected::Refused`] if the link is not in the state that the session needs.
    pub(crate) fn complete(
        self,
        scanner: &ReplyScanner,
        state: &mut State,
        pending: &mut PendingReplies,
        output: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        let (shown, ran) = match self {
            Self::Reply { shown, ran } => (shown, ran),
            Self::Edited => (true, true),
            Self::Notice(notice) => {
                noticed(notice, scanner, state, pending, output, counts);
                return Ok(());
            }
            Self::Stray => return Ok(()),
        };
        match pending.front().map(|expect| expect.learn) {
            Some(Learn::Subcommand) => state.pinned |= ran,
            Some(Learn::Id) => state.lease_id = scanner.last_integer(),
            _ => {}
        }
        replied(scanner.kind(), shown, state, pending, output, counts)
    }

    /// Handles the end of the next pending reply, which is `+OK` and changes only the state of a transaction (see
    /// [`PendingReplies::expects_success`]).
    ///
    /// # Errors
    /// [`Unexpected::Reply`] if no reply is pending.
    #[inline]
    pub(crate) fn complete_success(
        state: &mut State,
        pending: &mut PendingReplies,
        output: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        replied(Some(Kind::SimpleString), true, state, pending, output, counts)
    }

    /// Returns whether the frame answers a request.
    pub(crate) fn is_reply(self) -> bool {
        matches!(self, Self::Reply { .. } | Self::Edited)
    }
}

/// Handles the end of an out-of-band frame, which may be the confirmation that is pending next.
fn noticed(
    notice: Option<Notice>,
    scanner: &ReplyScanner,
    state: &mut State,
    pending: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) {
    state.inside_notice = false;
    if let (Some(notice), Some(number)) = (notice, scanner.last_integer()) {
        let remaining = u32::try_from(number).unwrap_or(u32::MAX);
        if state.subscriptions.confirm(notice, remaining, pending.front_confirmations())
            && let Some(counted) = pending.pop_remote()
        {
            counts.add(counted, Outcome::Ok);
        }
    }
    pending.deliver_local(output);
}

/// Handles the end of the next pending reply: counts it, appends what replaces it, updates the session's
/// state, and sends the local replies that follow it. `shown` is true if the client got the reply.
#[inline]
pub(super) fn replied(
    kind: Option<Kind>,
    shown: bool,
    state: &mut State,
    pending: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) -> Result<(), Unexpected> {
    let is_error = kind.is_none_or(Kind::is_error);
    let outcome = if is_error { Outcome::Error } else { Outcome::Ok };
    // The entry is read in place, so that it is not moved out of the queue.
    let expect = pending.front().ok_or(Unexpected::Reply)?;
    let learn = expect.learn;
    match &expect.show {
        Show::Instead(bytes) => output.put_slice(bytes),
        Show::Unless(bytes) if !shown => output.put_slice(bytes),
        _ => {}
    }
    counts.add(pending.pop_remote().ok_or(Unexpected::Reply)?, outcome);
    if learn != Learn::Nothing {
        state.learn(learn, kind)?;
    }
    pending.deliver_local(output);
    Ok(())
}

impl State {
    /// Updates the state by a reply of this kind.
    fn learn(&mut self, learn: Learn, kind: Option<Kind>) -> Result<(), Unexpected> {
        let error = kind.is_none_or(Kind::is_error);
        let done = !error && kind != Some(Kind::Null);
        match learn {
            Learn::Nothing | Learn::Unblocked | Learn::Confirmed(_) => {}
            Learn::Id | Learn::Subcommand => {}
            Learn::Protocol(protocol) if done => self.protocol = protocol,
            Learn::Database(database) if done => {
                (self.database, self.confirmed_database) = (database, Some(database));
            }
            Learn::Protocol(_) | Learn::Database(_) => {}
            Learn::Multi => self.transaction.multi(error),
            Learn::Exec(protocol) => {
                self.transaction.exec();
                self.protocol = protocol.filter(|_| done).unwrap_or(self.protocol);
            }
            Learn::Discard => self.transaction.discard(error),
            Learn::Watch => self.transaction.watch(error),
            Learn::Unwatch => self.transaction.unwatch(error),
            // Inside a transaction, EXEC's reply does not tell what became of it.
            Learn::Tracking { tracked, redirects } if done && !self.transaction.queues() => {
                self.tracked = tracked;
                self.redirects_to.take_if(|_| !redirects);
            }
            Learn::Tracking { .. } => {}
            Learn::Name => self.pinned |= error,
            Learn::Required if error => return Err(Unexpected::Refused),
            Learn::Required => {}
            Learn::Moved(before) if error => self.protocol = before,
            Learn::Moved(_) => {}
        }
        Ok(())
    }
}
