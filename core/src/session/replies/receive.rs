//! Bytes from a link become bytes for the client: which frame answers what, and what is dropped.

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

/// Reads one link's frames for the session that owns it.
///
/// Frames are passed on as they arrive, so a value of any size needs no room here. Only the first
/// element of an array that may be a message is held until it is known: a few dozen bytes.
#[derive(Default)]
pub struct Receiver {
    scanner: ReplyScanner,
    /// The frame that is being read, once it is known what it is.
    route: Option<Route>,
    /// Its bytes, until then.
    held: BytesMut,
    /// Whether bytes came that nobody looked at, because the client had its last reply.
    unread: bool,
    /// Most subscriptions that its session has had since this was last asked for.
    most_subscribed: u32,
}

/// What the frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// The reply that is due next; shown or not; and whether it may have been run.
    Reply { shown: bool, ran: bool },
    /// Out of band: a message, an invalidation, or a confirmation.
    Notice(Option<Notice>),
}

/// A link brought what nothing expects, or what is not RESP. It must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// Not RESP.
    #[error("upstream sent an invalid frame: {0}")]
    Frame(#[from] ReplyError),
    /// A reply that no request asked for.
    #[error("upstream sent a reply that nothing expects")]
    Reply,
    /// An error to a request of Redoubt's own that prepares a link.
    #[error("upstream refused to prepare a link for its session")]
    Refused,
}

impl Receiver {
    /// Most bytes held while it is not known what a frame is; Redis needs a few dozen.
    const MAX_HELD: usize = 64 << 10;

    /// Takes bytes of the link in and appends what the client is to see to `output`.
    ///
    /// # Errors
    /// [`Unexpected`]; what came before it has been appended, the rest is lost with the link.
    pub fn receive(
        &mut self,
        mut input: &[u8],
        state: &mut State,
        due: &mut PendingReplies,
        output: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        while !input.is_empty() {
            // Replies to what Redoubt has asked to prepare the link come before the stream.
            if state.opaque && due.remote() == 0 && self.is_between_frames() {
                output.put_slice(input);
                return Ok(());
            }
            if state.ended && due.is_empty() && self.route.is_none() {
                // The client has been given its last reply; like Redis, say nothing after it.
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

    /// Returns whether it is between two frames, and knows so.
    pub fn is_between_frames(&self) -> bool {
        self.route.is_none() && self.held.is_empty() && !self.unread
    }

    /// Most channels and patterns that its session was subscribed to at one time since the last call,
    /// if there was a confirmation.
    pub fn take_most_subscribed(&mut self) -> u32 {
        mem::take(&mut self.most_subscribed)
    }

    /// Returns what the frame that has begun is, of which `piece` is the latest; `None` while that cannot be told.
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
            // A push that this session has not asked for may be meant for another.
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

    /// Returns what an error that has begun is, of which `piece` is the latest; `None` while that cannot be
    /// told.
    fn error(&self, expect: &Expect, piece: &[u8]) -> Option<Route> {
        let unless = matches!(expect.show, Show::Unless(_));
        let refused = unless && self.begins_with(piece, b"-NOPERM ")?;
        let unknown = expect.learn == Learn::Subcommand
            && (self.begins_with(piece, b"-ERR unknown subcommand ")?
                // Redis before 7.0.
                || self.begins_with(piece, b"-ERR Unknown subcommand ")?);
        let shown = expect.show.passes() && !refused;
        Some(Route::Reply { shown, ran: !refused && !unknown })
    }

    /// Returns whether the frame that has begun, of which `piece` is the latest, begins with `start`; `None`
    /// while that cannot be told.
    fn begins_with(&self, piece: &[u8], start: &[u8]) -> Option<bool> {
        let mut bytes = self.held.iter().chain(piece);
        for wanted in start {
            if bytes.next()? != wanted {
                return Some(false);
            }
        }
        Some(true)
    }

    /// An out-of-band frame is complete; it may be the confirmation that is due.
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

/// The reply that was due next is complete, and has been `shown` or not: counts it, and goes on with
/// what comes after it for the client.
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

/// Puts in what is shown in a reply's place, and learns what it tells.
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
