//! Turns bytes from a link into bytes for the client: which request a frame answers, and which frames
//! are dropped.

use std::mem;

use bytes::{BufMut, BytesMut};

use super::counts::{Counts, Outcome};
use super::expect::{Expect, Learn, Show};
use super::pending::PendingReplies;
use super::plain::{deliver_local, plain_replies, replied_plainly};
use super::pubsub::Notice;
use crate::resp::Protocol;
use crate::resp::{Head, Kind, ReplyError, ReplyScanner};
use crate::session::state::State;

/// Reads the frames of a lease for its session.
///
/// Frames are passed on as they arrive, so a value of any size needs no memory here. Only an array that
/// may be a message is buffered until its first element is known: a few dozen bytes.
#[derive(Default)]
pub struct Receiver {
    scanner: ReplyScanner,
    /// The kind of the current frame, once it is known.
    route: Option<Route>,
    /// The bytes of the frame until then.
    held: BytesMut,
    /// True if bytes arrived that were dropped unread, because the client had received its last reply.
    unread: bool,
    /// Highest number of subscriptions of the session since the last call that returned it.
    most_subscribed: u32,
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// The next pending reply. `shown` is true if the client gets it, and `ran` if Redis may have run
    /// the command.
    Reply { shown: bool, ran: bool },
    /// An out-of-band frame: a message, an invalidation, or a confirmation.
    Notice(Option<Notice>),
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

impl Receiver {
    /// Most bytes that are buffered until it is known what a frame is; Redis needs a few dozen.
    const MAX_HELD: usize = 64 << 10;

    /// Reads bytes from the link and appends the client's bytes to `output`.
    ///
    /// # Errors [`Unexpected`]; the bytes before the error have been appended, the rest is lost with
    /// the link.
    pub fn receive(
        &mut self,
        mut input: &[u8],
        state: &mut State,
        due: &mut PendingReplies,
        output: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        while !input.is_empty() {
            // Replies to the requests that prepare the link come before the stream.
            if state.opaque && due.remote() == 0 && self.is_between_frames() {
                output.put_slice(input);
                return Ok(());
            }
            if state.ended && due.is_empty() && self.route.is_none() {
                // The client has received its last reply; like Redis, Redoubt sends nothing after it.
                self.unread = true;
                return Ok(());
            }
            if self.is_between_frames() {
                let (len, many) = plain_replies(input, due, u32::MAX);
                let (replies, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
                if many > 0 {
                    output.put_slice(replies);
                    replied_plainly(many, due, output, counts);
                    input = rest;
                    continue;
                }
            }
            let scan = self.scanner.scan(input)?;
            let (piece, rest) = input.split_at_checked(scan.len).unwrap_or((input, &[]));
            input = rest;
            if self.route.is_none() {
                self.route = self.classify(piece, state, due)?;
                if self.route.is_none() {
                    self.held.put_slice(piece);
                    if self.held.len() > Self::MAX_HELD {
                        return Err(Unexpected::Reply);
                    }
                    continue;
                }
            }
            if !matches!(self.route, Some(Route::Reply { shown: false, .. })) {
                if !self.held.is_empty() {
                    output.put(self.held.split());
                }
                output.put_slice(piece);
            }
            state.inside_notice = !scan.done && matches!(self.route, Some(Route::Notice(_)));
            if scan.done {
                self.held.clear();
                match self.route.take() {
                    Some(Route::Reply { shown, ran }) => {
                        let learn = due.front().map(|expect| expect.learn);
                        state.pinned |= ran && learn == Some(Learn::Subcommand);
                        if learn == Some(Learn::Id) {
                            state.client_id = self.scanner.last_integer();
                        }
                        replied(self.scanner.kind(), shown, state, due, output, counts)?;
                    }
                    Some(Route::Notice(notice)) => {
                        self.noticed(notice, state, due, output, counts);
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Returns true if the receiver is between two frames for certain.
    pub fn is_between_frames(&self) -> bool {
        self.route.is_none() && self.held.is_empty() && !self.unread
    }

    /// Returns the highest number of the session's subscriptions since the last call; 0 if there was no
    /// confirmation.
    pub fn take_most_subscribed(&mut self) -> u32 {
        mem::take(&mut self.most_subscribed)
    }

    /// Returns what the current frame is; `piece` is its latest part. `None` means that more bytes are
    /// needed.
    fn classify(
        &self,
        piece: &[u8],
        state: &State,
        due: &PendingReplies,
    ) -> Result<Option<Route>, Unexpected> {
        let Some(kind) = self.scanner.kind() else { return Ok(None) };
        let front = due.front();
        let confirms = matches!(front.map(|expect| expect.learn), Some(Learn::Confirmed(_)));
        let listens = confirms || state.subscriptions.any();
        if kind == Kind::Push
            || (kind == Kind::Array && listens && state.protocol == Protocol::Resp2)
        {
            let notice = match self.scanner.head() {
                Head::Pending => return Ok(None),
                Head::Word(word) => Notice::parse(word),
                Head::Other => None,
            };
            // A push that this session has not asked for may be meant for another session.
            if kind == Kind::Push && !listens && !state.pinned && !state.private {
                return Err(Unexpected::Reply);
            }
            if kind == Kind::Push || notice.is_some() {
                return Ok(Some(Route::Notice(notice)));
            }
        }
        match front {
            None => Err(Unexpected::Reply),
            Some(_) if confirms && kind != Kind::Error => Err(Unexpected::Reply),
            Some(expect) if kind == Kind::Error => Ok(self.error(expect, piece)),
            Some(expect) => Ok(Some(Route::Reply { shown: expect.show.passes(), ran: true })),
        }
    }

    /// Returns what a frame that begins as an error is; `piece` is its latest part. `None` means that
    /// more bytes are needed.
    fn error(&self, expect: &Expect, piece: &[u8]) -> Option<Route> {
        let unless = matches!(expect.show, Show::Unless(_));
        let refused = unless && self.begins_with(piece, b"-NOPERM ")?;
        let unknown = expect.learn == Learn::Subcommand
            && (self.begins_with(piece, b"-ERR unknown subcommand ")?
                // Redis before 7.0 words the error so.
                || self.begins_with(piece, b"-ERR Unknown subcommand ")?);
        let shown = expect.show.passes() && !refused;
        Some(Route::Reply { shown, ran: !refused && !unknown })
    }

    /// Returns whether the current frame begins with `start`; `piece` is its latest part. `None` means
    /// that more bytes are needed.
    fn begins_with(&self, piece: &[u8], start: &[u8]) -> Option<bool> {
        let mut bytes = self.held.iter().chain(piece);
        for wanted in start {
            if bytes.next()? != wanted {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Handles the end of an out-of-band frame, which may be the pending confirmation.
    fn noticed(
        &mut self,
        notice: Option<Notice>,
        state: &mut State,
        due: &mut PendingReplies,
        output: &mut BytesMut,
        counts: &mut Counts,
    ) {
        if let (Some(notice), Some(number)) = (notice, self.scanner.last_integer()) {
            let remaining = u32::try_from(number).unwrap_or(u32::MAX);
            if state.subscriptions.confirm(notice, remaining, due.front_confirmations())
                && let Some((_, counted)) = due.pop_remote()
            {
                counts.add(counted, Outcome::Ok);
            }
            self.most_subscribed = self.most_subscribed.max(state.subscriptions());
        }
        deliver_local(due, output);
    }
}

/// Handles the end of the next pending reply: counts it and sends the local replies that follow it.
/// `shown` is true if the client got the reply.
pub(crate) fn replied(
    kind: Option<Kind>,
    shown: bool,
    state: &mut State,
    due: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) -> Result<(), Unexpected> {
    let is_error = kind.is_none_or(Kind::is_error);
    let outcome = if is_error { Outcome::Error } else { Outcome::Ok };
    if let Some(counted) = due.pop_plain(1) {
        counts.add(counted, outcome);
    } else {
        let (mut expect, counted) = due.pop_remote().ok_or(Unexpected::Reply)?;
        counts.add(counted, outcome);
        if let Show::Unless(bytes) = expect.show {
            expect.show = if shown { Show::Reply } else { Show::Instead(bytes) };
        }
        answered(expect, kind, state, output)?;
    }
    deliver_local(due, output);
    Ok(())
}

/// Appends what replaces the reply, if anything, and updates the session's state.
fn answered(
    expect: Expect,
    kind: Option<Kind>,
    state: &mut State,
    output: &mut BytesMut,
) -> Result<(), Unexpected> {
    if let Show::Instead(bytes) = expect.show {
        output.put(bytes);
    }
    let error = kind.is_none_or(Kind::is_error);
    let done = !error && kind != Some(Kind::Null);
    match expect.learn {
        Learn::Nothing | Learn::Unblocked | Learn::Confirmed(_) => {}
        Learn::Id | Learn::Subcommand => {}
        Learn::Protocol(protocol) if done => state.protocol = protocol,
        Learn::Database(database) if done => state.database = database,
        Learn::Protocol(_) | Learn::Database(_) => {}
        Learn::Multi => state.transaction.multi(error),
        Learn::Exec(protocol) => {
            state.transaction.exec();
            state.protocol = protocol.filter(|_| done).unwrap_or(state.protocol);
        }
        Learn::Discard => state.transaction.discard(error),
        Learn::Watch => state.transaction.watch(error),
        Learn::Unwatch => state.transaction.unwatch(error),
        Learn::Name => state.pinned |= error,
        Learn::Required if error => return Err(Unexpected::Refused),
        Learn::Required => {}
        Learn::Moved(before) if error => state.protocol = before,
        Learn::Moved(_) => {}
    }
    Ok(())
}
