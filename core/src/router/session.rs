//! A session with its buffers and its link.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use super::LinkId;
use super::limits::pause::Pause;
use crate::auth::Permit;
use crate::command::{Class, Spec};
use crate::resp::{ReplyScanner, RequestParser};
use crate::session::{
    Action, CloseReason, Counted, Counts, Edit, Event, Frame, Given, IdentityBounds, Limits, Pace,
    PendingReplies, Renumbered, Rules, SessionPlace, Show, State, TokenBucket, Unexpected,
};

/// A client's session in the router.
pub(super) struct Session {
    pub(super) state: State,
    pub(super) parser: RequestParser,
    /// Bytes from the client that are not a whole request yet, or that wait.
    pub(super) input: BytesMut,
    /// Bytes for the client.
    pub(super) output: BytesMut,
    /// The largest capacity that `input` was seen to have. Bytes that were removed from the front of a buffer
    /// stay allocated, and its capacity does not include them.
    pub(super) input_allocated: usize,
    /// The same for `output`.
    pub(super) output_allocated: usize,
    /// Bytes that are counted for it in the memory of all sessions.
    pub(super) counted: u64,
    /// True if it takes no more requests because memory is short.
    pub(super) memory_paused: bool,
    /// The replies that it waits for.
    pub(super) pending: PendingReplies,
    /// The link over which it last sent: its lease while the state says that it has one.
    pub(super) link: Option<LinkId>,
    /// True if its lease is logged in with credentials that are no longer in force.
    pub(super) stale_login: bool,
    /// Until when it has a lease because its client reads slowly.
    pub(super) slow_until: Option<Instant>,
    /// Bytes of local replies that were added to `output` since it was last empty.
    local_unread: usize,
    /// True if it is in the list of sessions that are resumed when its link has room.
    pub(super) waits_for_room: bool,
    /// What the program has found out or done for its next request.
    pub(super) given: Option<Given>,
    /// True while the program deletes keys for its next request.
    pub(super) flushing: bool,
    /// How far the collection of these descriptions is.
    pub(super) listing: Listing,
    /// Set until the reply has come that they are for.
    pub(super) lists: bool,
    /// A reply that is changed before the client gets it, until it is complete.
    edited: Option<Box<BytesMut>>,
    /// Since when its request waits for a link that cannot be opened now.
    pub(super) wants_link: Option<Instant>,
    /// The large request that is being forwarded.
    pub(super) streaming: Option<Streaming>,
    /// Why `input` holds requests that must wait, if it does.
    pub(super) pause: Option<Pause>,
    /// The rest of the commands that it may send in this second.
    pub(super) bucket: TokenBucket,
    /// Its part of its identity's commands and bytes per second; `None` if it has taken no part yet.
    pub(super) pace: Option<Box<Pace>>,
    /// Its place in the count of its identity's sessions; `None` until it has authenticated.
    pub(super) place: Option<SessionPlace>,
    /// Number of its commands that are not to be added to its identity's, because they have been.
    reported: u64,
    /// True if the client will send nothing more.
    pub(super) eof: bool,
    /// Set when no more requests are taken: the session ends once its client has all replies.
    pub(super) ending: Option<CloseReason>,
    /// True if it is over, whatever replies are pending.
    pub(super) dead: bool,
    /// True if it is in the list of touched sessions.
    pub(super) touched: bool,
    /// Its places in the counts of the connection limiter; `None` without a limiter.
    pub(super) permit: Option<Permit>,
    /// Until when it is neither read nor answered, because of a wrong password.
    pub(super) held_until: Option<Instant>,
    /// The time at which it must have authenticated.
    pub(super) auth_deadline: Option<Instant>,
    /// When bytes were last read from the client or written to it.
    pub(super) active: Instant,
    pub(super) opened: Instant,
    pub(super) commands: u64,
    /// The last command that was not plain, and how many commands the session had made with it.
    pub(super) special: (Counted, u64),
    pub(super) bytes_in: u64,
    /// Bytes that came while it was not authenticated, since the last `AUTH` or `RESET`.
    pub(super) bytes_in_unauthenticated: usize,
    pub(super) bytes_out: u64,
}

/// How far the collection of descriptions of clients for a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// None is wanted.
    No,
    /// They are to be collected when those of fewer sessions are held.
    Wanted,
    /// They are being collected.
    Begun,
}

/// How a request is counted and timed.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// The counter to which its outcome is added; a refused request is counted at once.
    pub(super) counted: Counted,
    /// The class of its command, by which it is timed.
    pub(super) class: Class,
}

impl Asked {
    pub(super) fn of(spec: Option<&Spec>) -> Self {
        Self { counted: Counted::of(spec), class: spec.map_or(Class::Other, |spec| spec.class) }
    }
}

/// A large request that is forwarded piece by piece.
pub(super) struct Streaming {
    /// The action that was decided for it.
    pub(super) action: Action,
    /// The link that it is sent over, if it is sent.
    pub(super) link: Option<LinkId>,
    pub(super) asked: Asked,
    /// Number of its bytes that have been forwarded or dropped.
    pub(super) passed: usize,
}

impl Session {
    /// Bytes that wait for the client at which its lease is no longer read.
    pub(super) const LINK_PAUSE: usize = 256 << 10;
    /// How long a session keeps a lease after its client has read slowly.
    const SLOW_TIME: Duration = Duration::from_secs(60);
    /// Bytes at which a request that must be held whole is too large, and the session ends.
    pub(super) const MAX_HELD: usize = 1 << 20;
    /// Bytes of capacity that an empty buffer may keep.
    const IDLE_CAPACITY: usize = 4 << 10;

    pub(super) fn new(now: Instant, auth_timeout: Duration, private: bool) -> Self {
        Self {
            state: State::new(private),
            parser: RequestParser::new(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            input_allocated: 0,
            output_allocated: 0,
            counted: 0,
            memory_paused: false,
            pending: PendingReplies::default(),
            link: None,
            stale_login: false,
            slow_until: None,
            local_unread: 0,
            waits_for_room: false,
            given: None,
            flushing: false,
            listing: Listing::No,
            lists: false,
            edited: None,
            wants_link: None,
            streaming: None,
            pause: None,
            bucket: TokenBucket::default(),
            pace: None,
            place: None,
            reported: 0,
            eof: false,
            ending: None,
            dead: false,
            touched: false,
            permit: None,
            held_until: None,
            auth_deadline: now.checked_add(auth_timeout),
            active: now,
            opened: now,
            commands: 0,
            special: (Counted::NOT, 0),
            bytes_in: 0,
            bytes_in_unauthenticated: 0,
            bytes_out: 0,
        }
    }

    /// Counts the session as one of the identity that it now is. Returns false if the identity has as many as it
    /// may have.
    pub(super) fn enter_identity(&mut self, bounds: &IdentityBounds) -> bool {
        let is_there = self.place.as_ref();
        if is_there.is_some_and(|place| std::sync::Arc::ptr_eq(place.usage(), &bounds.usage)) {
            return true;
        }
        self.leave_identity();
        self.place = bounds.take_session();
        self.place.is_some()
    }

    /// Counts the session no longer as one of its identity.
    pub(super) fn leave_identity(&mut self) {
        self.report_commands();
        self.place = None;
        self.pace = None;
    }

    /// Adds the commands that the session has made since the last call to those of its identity.
    pub(super) fn report_commands(&mut self) {
        let more = self.commands.saturating_sub(self.reported);
        self.reported = self.commands;
        if let Some(place) = self.place.as_ref().filter(|_| more > 0) {
            place.usage().add_commands(more);
        }
    }

    /// Adds a reply that Redoubt made, behind the pending replies.
    pub(super) fn reply(&mut self, bytes: Bytes) {
        self.local_unread = self.local_unread.saturating_add(bytes.len());
        if self.pending.is_empty() && !self.state.is_inside_notice() {
            self.output.extend_from_slice(&bytes);
        } else {
            self.pending.push_local(bytes);
        }
    }

    /// Appends bytes of replies for the client, unchanged.
    #[inline]
    pub(super) fn append_reply(&mut self, bytes: &[u8]) {
        if !self.dead {
            self.output.extend_from_slice(bytes);
        }
    }

    /// Processes bytes of one frame.
    #[inline]
    pub(super) fn append_piece(&mut self, frame: Frame, piece: &[u8], limits: &Limits) {
        match frame {
            Frame::Reply { shown: false, .. } | Frame::Stray => {}
            Frame::Reply { shown: true, .. } => self.append_reply(piece),
            Frame::Notice(_) => {
                self.state.begin_notice();
                self.append_reply(piece);
            }
            Frame::Edited => {
                let reply = self.edited.get_or_insert_default();
                reply.extend_from_slice(piece);
                if reply.len() > limits.output_buffer {
                    self.kill(CloseReason::OutputLimit);
                }
            }
        }
    }

    /// Processes the end of a frame.
    ///
    /// # Errors
    /// As [`Frame::complete`].
    #[inline]
    pub(super) fn complete(
        &mut self,
        frame: Frame,
        scanner: &ReplyScanner,
        rules: &Rules,
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        if self.lists && self.pending.front().is_some_and(|expect| expect.lists_clients()) {
            self.lists = false;
        }
        if frame == Frame::Edited
            && let Some(reply) = self.edited.take()
        {
            self.show_edited(&reply, rules);
        }
        let known = self.state.lease_id();
        let Self { state, pending, output, .. } = self;
        frame.complete(scanner, state, pending, output, counts)?;
        if let Some(lease) = self.state.lease_id()
            && known != Some(lease)
        {
            rules.client_ids.lend(self.state.client_id(), lease);
        }
        if let Frame::Notice(_) = frame
            && self.state.subscriptions() > rules.limits.subscriptions
            && self.ending.is_none()
        {
            self.kill(CloseReason::Subscriptions);
        }
        Ok(())
    }

    /// Processes a whole `+OK`, which goes to the client and changes only the state of a transaction.
    ///
    /// # Errors
    /// As [`Frame::complete_success`].
    #[inline]
    pub(super) fn complete_success(
        &mut self,
        reply: &[u8],
        counts: &mut Counts,
    ) -> Result<(), Unexpected> {
        self.append_reply(reply);
        let Self { state, pending, output, .. } = self;
        Frame::complete_success(state, pending, output, counts)
    }

    /// Ends the session if too many bytes wait for the client: the sessions behind it on a shared link cannot
    /// wait any longer.
    #[inline]
    pub(super) fn check_output_limit(&mut self, limits: &Limits) {
        if self.output.len() > limits.output_buffer && !self.dead {
            self.kill(CloseReason::OutputLimit);
        }
    }

    /// Returns whether the bytes of its lease are passed on without being read as replies. The replies to
    /// Redoubt's own requests that prepare the lease come before the stream.
    pub(super) fn takes_unread(&self) -> bool {
        self.state.is_opaque() && self.pending.remote() == 0
    }

    /// Returns whether the client has its last reply.
    pub(super) fn has_last_reply(&self) -> bool {
        self.state.has_ended() && self.pending.is_empty()
    }

    /// Passes a complete reply on, with a number that the client may know in the place of a link's: a client
    /// that knows the number of a link could make the server send invalidations there.
    fn show_edited(&mut self, reply: &[u8], rules: &Rules) {
        let Some(Show::Edited(edit)) = self.pending.front().map(|expect| &expect.show) else {
            return;
        };
        if self.dead {
            return;
        }
        let before: &[u8] = match &**edit {
            Edit::Clients(sessions) => {
                return rules.own_connections.replaced(reply, sessions, &mut self.output);
            }
            Edit::Greeting => b"$2\r\nid\r\n:",
            // Nothing that a client has sent stands before it.
            Edit::Redirection(_) if !reply.starts_with(b":") => b"$8\r\nredirect\r\n:",
            Edit::Redirection(_) => b":",
        };
        let place = memchr::memmem::find(reply, before);
        let place = place.map_or(reply.len(), |place| place.saturating_add(before.len()));
        let (head, rest) = reply.split_at(place);
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let shown = match &**edit {
            _ if number.is_empty() => None,
            Edit::Redirection(Renumbered { lease, session }) => {
                (number == lease.to_string().as_bytes()).then_some(*session)
            }
            _ => Some(self.state.client_id()),
        };
        self.output.extend_from_slice(head);
        match shown {
            Some(shown) => self.output.extend_from_slice(shown.to_string().as_bytes()),
            None => self.output.extend_from_slice(number),
        }
        self.output.extend_from_slice(rest);
    }

    /// Returns the name of its last command; `None` if that was plain or no command of the table. Nothing is kept
    /// for plain commands, which are most.
    pub(super) fn last_command(&self) -> Option<&'static str> {
        let (command, number) = self.special;
        if number == self.commands { command.name() } else { None }
    }

    /// Returns whether descriptions of clients are being collected or held for it.
    pub(super) fn holds_descriptions(&self) -> bool {
        self.listing == Listing::Begun
            || matches!(self.given, Some(Given::Clients(_)))
            || self.lists
    }

    /// Returns whether so many bytes of local replies are unread that no more should be made.
    pub(super) fn is_flooded(&self, limits: &Limits) -> bool {
        // Mostly nothing is unread, and then the bound need not be computed.
        self.local_unread > 0 && self.local_unread >= limits.client_pause()
    }

    /// Returns whether many bytes wait for the client.
    pub(super) fn has_much_unread(&self, limits: &Limits) -> bool {
        // Mostly nothing is unread, and then the bound need not be computed.
        !self.output.is_empty() && self.output.len() >= limits.client_pause()
    }

    /// Returns whether its client reads slowly, so that it needs a lease.
    pub(super) fn needs_own_link(&self, limits: &Limits, now: Instant) -> bool {
        self.has_much_unread(limits) || self.slow_until.is_some_and(|until| now < until)
    }

    /// Notes that its client reads slowly, so that it has a lease for a while.
    pub(super) fn note_slow_reader(&mut self, now: Instant) {
        self.slow_until = now.checked_add(Self::SLOW_TIME);
    }

    /// Returns whether it can return its lease.
    pub(super) fn can_return_lease(&self, now: Instant) -> bool {
        self.state.is_leased()
            && self.link.is_some()
            && self.pending.remote() == 0
            && self.streaming.is_none()
            && !self.state.holds_lease()
            && self.slow_until.is_none_or(|until| now >= until)
    }

    /// Takes no more requests. Of several reasons, the first one is reported.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.ending.get_or_insert(reason);
        self.state.end();
        self.input = BytesMut::new();
        self.input_allocated = 0;
        self.pause = None;
    }

    /// Ends it now, whatever replies are pending.
    pub(super) fn kill(&mut self, reason: CloseReason) {
        if self.is_finished() || reason == CloseReason::Client {
            self.end(reason);
        } else {
            self.cut_short(reason);
        }
        self.dead = true;
    }

    /// Ends it now, because the server has sent more or fewer replies than it has asked for. This reason is
    /// reported also if the session was ending already.
    pub(super) fn end_for_mismatch(&mut self) {
        self.ending = None;
        self.end(CloseReason::ReplyMismatch);
        self.dead = true;
    }

    /// Returns whether it was ended whatever replies were pending.
    pub(super) fn is_killed(&self) -> bool {
        self.dead
    }

    /// Ends it because its link is closed. The client still gets the bytes that have come.
    pub(super) fn lose_link(&mut self, reason: CloseReason, counts: &mut Counts) {
        let has_pending = !self.pending.is_empty();
        self.link = None;
        std::mem::take(&mut self.pending).give_up(counts);
        self.state.cut_off();
        if has_pending { self.cut_short(reason) } else { self.end(reason) }
    }

    /// Ends it early, so that a `QUIT` whose reply is pending is not reported as the reason.
    fn cut_short(&mut self, reason: CloseReason) {
        self.ending.take_if(|ending| *ending == CloseReason::Quit);
        self.end(reason);
    }

    /// Returns whether its socket can be closed.
    pub(super) fn is_finished(&self) -> bool {
        let has_all_replies =
            self.pending.is_empty() && self.output.is_empty() && !self.state.is_inside_notice();
        self.dead || (self.ending.is_some() && has_all_replies)
    }

    /// Frees memory once all output has been written.
    #[inline]
    pub(super) fn output_drained(&mut self) {
        self.local_unread = 0;
        // Mostly there is nothing to free.
        let holds = self.input.capacity().max(self.output.capacity()) > Self::IDLE_CAPACITY;
        if holds || self.pending.has_room_to_spare() || !self.state.is_authenticated() {
            self.release_buffers();
            self.recount();
        }
    }

    /// Frees the memory of empty buffers.
    pub(super) fn release_buffers(&mut self) {
        let kept = if self.state.is_authenticated() { Self::IDLE_CAPACITY } else { 0 };
        for (buffer, allocated) in [
            (&mut self.input, &mut self.input_allocated),
            (&mut self.output, &mut self.output_allocated),
        ] {
            if buffer.is_empty() && buffer.capacity() > kept {
                *buffer = BytesMut::new();
                *allocated = 0;
            }
        }
        self.pending.release();
    }

    /// Removes `len` bytes from the front of the output, which have been written.
    #[inline]
    pub(super) fn advance_output(&mut self, len: usize) {
        if len >= self.output.len() {
            // Unlike `advance`, `clear` keeps the memory at the front of the buffer.
            self.output.clear();
            return;
        }
        self.output_allocated = self.output_allocated.max(self.output.capacity());
        self.output.advance(len);
    }

    /// Frees all buffers: nothing more is read or written.
    pub(super) fn drop_buffers(&mut self) {
        (self.input, self.output) = (BytesMut::new(), BytesMut::new());
        (self.input_allocated, self.output_allocated) = (0, 0);
    }

    pub(super) fn closed_event(&self, now: Instant) -> Event {
        Event::Closed {
            reason: self.ending.unwrap_or(CloseReason::Client),
            lasted: now.saturating_duration_since(self.opened),
            commands: self.commands,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}
