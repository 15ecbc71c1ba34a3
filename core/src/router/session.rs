//! A session with its buffers.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use super::LinkId;
use super::limits::pause::Pause;
use crate::auth::Permit;
use crate::command::{Class, Spec};
use crate::resp::{ReplyScanner, RequestParser};
use crate::session::{
    Action, CloseReason, Counted, Counts, Event, Frame, Limits, PendingReplies, Rules, State,
    TokenBucket, Unexpected,
};

/// What a router keeps of one session.
pub(super) struct Session {
    pub(super) state: State,
    pub(super) parser: RequestParser,
    /// Bytes of the client that are not a whole request yet, or that wait.
    pub(super) input: BytesMut,
    /// Bytes for the client.
    pub(super) output: BytesMut,
    /// Most bytes of memory that the two were seen to have: what has been taken off the front of a
    /// buffer stays allocated, and its capacity does not tell of it.
    pub(super) input_allocated: usize,
    pub(super) output_allocated: usize,
    /// Bytes that are counted for it, of the bound on all sessions.
    pub(super) counted: u64,
    /// Whether it takes no more requests as memory is short.
    pub(super) memory_paused: bool,
    pub(super) due: PendingReplies,
    /// The link over which it last sent: its own while the state says that it is leased.
    pub(super) link: Option<LinkId>,
    /// Whether the link of its own is logged in with credentials that are not those of now.
    pub(super) stale_login: bool,
    /// Until when it has a link of its own because much is sent to it.
    pub(super) heavy_until: Option<Instant>,
    /// Bytes of local replies that have gone into `output` since it was last empty.
    local_unread: usize,
    /// Whether its link will tell it when there is room.
    pub(super) waits: bool,
    /// The reply to a `HELLO` over a shared link, until it is complete.
    greeting: Option<Box<BytesMut>>,
    /// What `HELLO` calls the connection over a shared link.
    pub(super) number: u64,
    /// Since when its request waits for a link that cannot be opened now.
    pub(super) wants_link: Option<Instant>,
    /// The large request that is passing through.
    pub(super) streaming: Option<Streaming>,
    /// Why `input` holds requests that must wait, if it does.
    pub(super) pause: Option<Pause>,
    /// What is left of its commands for this second.
    pub(super) bucket: TokenBucket,
    /// Whether the client will send nothing more.
    pub(super) eof: bool,
    /// Set when no more requests are taken: the session ends once all that is due has gone out.
    pub(super) ending: Option<CloseReason>,
    /// Whether it is over, whatever is still due.
    pub(super) dead: bool,
    /// Whether it is in the router's list of touched sessions.
    pub(super) touched: bool,
    /// Its places in the counts of all sessions; `None` where nobody counts.
    pub(super) permit: Option<Permit>,
    /// Until when it is neither read nor answered, because of a wrong password.
    pub(super) held_until: Option<Instant>,
    /// When it must have authenticated.
    pub(super) auth_deadline: Option<Instant>,
    /// When bytes last went either way.
    pub(super) active: Instant,
    pub(super) opened: Instant,
    pub(super) commands: u64,
    pub(super) bytes_in: u64,
    /// Those of `bytes_in` that came while it had not authenticated, since the last `AUTH` or `RESET`.
    pub(super) bytes_in_unauthenticated: usize,
    pub(super) bytes_out: u64,
}

/// What a request is for metrics.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// As what it is counted when it has come to its end; a refused one is counted before.
    pub(super) counted: Counted,
    /// As what it is timed.
    pub(super) class: Class,
}

impl Asked {
    pub(super) fn of(spec: Option<&Spec>) -> Self {
        Self { counted: Counted::of(spec), class: spec.map_or(Class::Other, |spec| spec.class) }
    }
}

/// A large request that is passed on piece by piece.
pub(super) struct Streaming {
    /// What was decided for it.
    pub(super) action: Action,
    /// The link that it goes over, if it goes over one.
    pub(super) link: Option<LinkId>,
    pub(super) asked: Asked,
    /// How many bytes of it have passed.
    pub(super) passed: usize,
}

impl Session {
    /// Bytes waiting for the client at which its link is no longer read.
    pub(super) const LINK_PAUSE: usize = 256 << 10;
    /// How long a session that much was sent to keeps a link of its own.
    const HEAVY: Duration = Duration::from_secs(60);
    /// Bytes of a request that must be held whole at which the session ends.
    pub(super) const MAX_HELD: usize = 1 << 20;
    /// Capacity that an empty buffer may keep.
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
            due: PendingReplies::default(),
            link: None,
            stale_login: false,
            heavy_until: None,
            local_unread: 0,
            waits: false,
            greeting: None,
            number: 0,
            wants_link: None,
            streaming: None,
            pause: None,
            bucket: TokenBucket::default(),
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
            bytes_in: 0,
            bytes_in_unauthenticated: 0,
            bytes_out: 0,
        }
    }

    /// Puts a reply that Redoubt made in its place in the order.
    pub(super) fn reply(&mut self, bytes: Bytes) {
        self.local_unread = self.local_unread.saturating_add(bytes.len());
        if self.due.is_empty() && !self.state.is_inside_notice() {
            self.output.extend_from_slice(&bytes);
        } else {
            self.due.push_local(bytes);
        }
    }

    /// Appends bytes of replies that the client gets as they came.
    #[inline]
    pub(super) fn take_reply(&mut self, bytes: &[u8]) {
        if !self.dead {
            self.output.extend_from_slice(bytes);
        }
    }

    /// Takes bytes of one frame.
    #[inline]
    pub(super) fn take_piece(&mut self, frame: Frame, piece: &[u8], limits: &Limits) {
        match frame {
            Frame::Reply { shown: false, .. } | Frame::Stray => {}
            Frame::Reply { shown: true, .. } => self.take_reply(piece),
            Frame::Notice(_) => {
                self.state.begin_notice();
                self.take_reply(piece);
            }
            Frame::Greeting => {
                let greeting = self.greeting.get_or_insert_default();
                greeting.extend_from_slice(piece);
                if greeting.len() > limits.output_buffer {
                    self.kill(CloseReason::OutputLimit);
                }
            }
        }
    }

    /// The frame that was taken is complete.
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
        if frame == Frame::Greeting {
            self.complete_greeting();
        }
        let known = self.state.client_id();
        let Self { state, due, output, .. } = self;
        frame.complete(scanner, state, due, output, counts)?;
        if self.state.client_id() != known {
            rules.client_ids.change(known, self.state.client_id());
        }
        if let Frame::Notice(_) = frame
            && self.state.subscriptions() > rules.limits.subscriptions
            && self.ending.is_none()
        {
            self.kill(CloseReason::Subscriptions);
        }
        Ok(())
    }

    /// Ends the session if more waits for the client than may: those behind it on a shared link cannot wait
    /// any longer.
    #[inline]
    pub(super) fn bound_output(&mut self, limits: &Limits) {
        if self.output.len() > limits.output_buffer && !self.dead {
            self.kill(CloseReason::OutputLimit);
        }
    }

    /// Returns whether the bytes of its own link are passed on unread. Replies to what Redoubt has asked to
    /// prepare the link come before the stream.
    pub(super) fn takes_unread(&self) -> bool {
        self.state.is_opaque() && self.due.remote() == 0
    }

    /// Returns whether the client has been given its last reply.
    pub(super) fn has_all(&self) -> bool {
        self.state.has_ended() && self.due.is_empty()
    }

    /// The reply to a `HELLO` is complete. The client gets it with the session's number: whoever knows the
    /// shared link's could have Redis send invalidations there.
    pub(super) fn complete_greeting(&mut self) {
        let Some(greeting) = self.greeting.take() else { return };
        let name = b"$2\r\nid\r\n:";
        let place = memchr::memmem::find(&greeting, name).unwrap_or(greeting.len());
        let (head, rest) = greeting.split_at(place);
        if self.dead {
            return;
        }
        self.output.extend_from_slice(head);
        if let Some(after) = rest.strip_prefix(name) {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.output.extend_from_slice(name);
            self.output.extend_from_slice(self.number.to_string().as_bytes());
            self.output.extend_from_slice(after.get(digits..).unwrap_or_default());
        }
    }

    /// Returns whether so many local replies are unread that no more should be made.
    pub(super) fn is_flooded(&self, limits: &Limits) -> bool {
        // Mostly none is unread, and then the bound need not be known.
        self.local_unread > 0 && self.local_unread >= limits.client_pause()
    }

    /// Returns whether much waits for the client.
    pub(super) fn is_heavy(&self, limits: &Limits) -> bool {
        // As above.
        !self.output.is_empty() && self.output.len() >= limits.client_pause()
    }

    /// Returns whether so much is sent to it that it needs a link of its own.
    pub(super) fn is_weighty(&self, limits: &Limits, now: Instant) -> bool {
        self.is_heavy(limits) || self.heavy_until.is_some_and(|until| now < until)
    }

    /// Keeps a link of its own for a while from now on.
    pub(super) fn weigh(&mut self, now: Instant) {
        self.heavy_until = now.checked_add(Self::HEAVY);
    }

    /// Returns whether its own link can be given back.
    pub(super) fn can_give_back(&self, now: Instant) -> bool {
        self.state.is_leased()
            && self.link.is_some()
            && self.due.remote() == 0
            && self.streaming.is_none()
            && !self.state.holds_lease()
            && self.heavy_until.is_none_or(|until| now >= until)
    }

    /// Takes no more requests; the first reason stands.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.ending.get_or_insert(reason);
        self.state.end();
        self.input = BytesMut::new();
        self.input_allocated = 0;
        self.pause = None;
    }

    /// Ends it now, whatever is due.
    pub(super) fn kill(&mut self, reason: CloseReason) {
        if self.is_finished() || reason == CloseReason::Client {
            self.end(reason);
        } else {
            self.cut_short(reason);
        }
        self.dead = true;
    }

    /// Ends it now, since the server has answered its requests too often or too seldom. That counts,
    /// also where it was ending already.
    pub(super) fn mismatch(&mut self) {
        self.ending = None;
        self.end(CloseReason::ReplyMismatch);
        self.dead = true;
    }

    /// Returns whether it was ended at once.
    pub(super) fn is_killed(&self) -> bool {
        self.dead
    }

    /// Its link is gone: what has come still goes out, and nothing else is due.
    pub(super) fn lose_link(&mut self, reason: CloseReason, counts: &mut Counts) {
        let is_owed = !self.due.is_empty();
        self.link = None;
        std::mem::take(&mut self.due).give_up(counts);
        self.state.cut_off();
        if is_owed { self.cut_short(reason) } else { self.end(reason) }
    }

    /// Ends it before its time, so that a `QUIT` still to be answered is not why.
    fn cut_short(&mut self, reason: CloseReason) {
        self.ending.take_if(|ending| *ending == CloseReason::Quit);
        self.end(reason);
    }

    /// Returns whether its socket can be closed.
    pub(super) fn is_finished(&self) -> bool {
        let said_all =
            self.due.is_empty() && self.output.is_empty() && !self.state.is_inside_notice();
        self.dead || (self.ending.is_some() && said_all)
    }

    /// All output has gone out.
    #[inline]
    pub(super) fn drained(&mut self) {
        self.local_unread = 0;
        // Mostly there is nothing to give back.
        let holds = self.input.capacity().max(self.output.capacity()) > Self::IDLE_CAPACITY;
        if holds || self.due.has_room_to_spare() || !self.state.is_authenticated() {
            self.release_buffers();
            self.recount();
        }
    }

    /// Gives memory back when a buffer has run empty.
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
        self.due.release();
    }

    /// Takes `len` bytes off the front of the output: they have gone out.
    #[inline]
    pub(super) fn advance_output(&mut self, len: usize) {
        if len >= self.output.len() {
            // Unlike advancing, this keeps the room at the front.
            self.output.clear();
            return;
        }
        self.output_allocated = self.output_allocated.max(self.output.capacity());
        self.output.advance(len);
    }

    /// Gives all buffers back: nothing more goes in or out.
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
