//! What Redoubt knows of a session, in the order in which Redis will run its requests.

use std::sync::Arc;

use bytes::Bytes;

use super::change::{Attempts, Change, LeftOnLease};
use super::client_reply::ReplyMode;

use super::limits::Limits;
use super::replies::pending::PendingReplies;
use super::replies::pubsub::Subscriptions;
use super::transaction::Transaction;
use crate::auth::{Authenticated, CredentialId};
use crate::resp::{Protocol, RequestLimits};

/// The state that requests and replies change. Buffers, queues and links are elsewhere.
///
/// There is no `Debug`: it holds what the client calls itself.
///
/// What cannot be known before Redis has answered (whether `MULTI` was taken, say) is a belief here,
/// and nothing that protects others may rest on it.
#[derive(Default)]
pub struct State {
    /// Who the session is, by the last right `AUTH`. A wrong one changes nothing, as in Redis; `RESET`
    /// clears it. Nothing else in Redoubt keeps who a session is.
    pub(super) authenticated: Option<Authenticated>,
    /// How much of its attempts it has used up before a right `AUTH`.
    pub(super) attempts: Attempts,
    /// What the client is spoken to in, by the replies that have come.
    pub(super) protocol: Protocol,
    /// The selected database, by the replies that have come.
    pub(super) database: u32,
    /// `MULTI` and `WATCH`.
    pub(super) transaction: Transaction,
    /// What a `HELLO` inside the transaction will switch to when it runs.
    pub(super) queued_protocol: Option<Protocol>,
    /// Which replies the client wants.
    pub(super) replies: ReplyMode,
    /// By Redis's own confirmations.
    pub(super) subscriptions: Subscriptions,
    /// Channels that it has asked for where no confirmation can be read.
    pub(super) unread_subscriptions: u32,
    /// What the client calls itself; put on each link that is its own.
    pub(super) name: Option<Bytes>,
    /// Whether the session has a link of its own, or would at its first request.
    pub(super) leased: bool,
    /// What has to be undone on that link before another session may have it.
    pub(super) left_on_lease: LeftOnLease,
    /// The number of that link, since the client has asked for it.
    pub(super) client_id: Option<i64>,
    /// Whether the connection has state that only the end of the session, or `RESET`, ends.
    pub(super) pinned: bool,
    /// Whether the session keeps a link of its own however little it needs one.
    pub(super) private: bool,
    /// Whether the link carries a stream that is not one reply for one request. It is passed on
    /// unread, so no local reply can be put in order.
    pub(super) opaque: bool,
    /// Whether the client has been given the beginning of a message and not yet its end, so that
    /// nothing else may be said now.
    pub(super) inside_notice: bool,
    /// Whether the session takes no more requests, so that what is due is the last it is given.
    pub(super) ended: bool,
}

impl State {
    /// How many requests that do nothing count as one refused command before a right `AUTH`.
    pub const IDLE_REQUESTS: u32 = Attempts::IDLE;

    /// A session before its first request. With `private` it has a link of its own for all its life.
    pub fn new(private: bool) -> Self {
        Self { private, leased: private, ..Self::default() }
    }

    /// Returns whether a right `AUTH` came and no `RESET` since.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.is_some()
    }

    /// Returns what the last right `AUTH` was made with; `None` before it, and after `RESET`.
    pub fn credential(&self) -> Option<CredentialId> {
        self.authenticated.as_ref().map(|authenticated| authenticated.credential)
    }

    /// Returns the user that the last right `AUTH` was made for; `None` before it, and after `RESET`.
    pub fn user(&self) -> Option<&Arc<str>> {
        self.authenticated.as_ref().map(|authenticated| &authenticated.user)
    }

    /// Returns whether an `AUTH` of Redoubt's own can go over the session's link before its next request:
    /// Redis would take it at once, and it is known which reply is its own.
    pub fn can_log_in_again(&self, due: &PendingReplies) -> bool {
        !self.opaque
            && !self.transaction.is_open()
            && !self.restricted()
            && !self.restriction_unsettled(due)
    }

    /// Returns whether the link's bytes are passed on unread from here on.
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Returns whether a reply that Redoubt makes has to wait for the end of a message that the client has
    /// been given the beginning of.
    pub fn is_inside_notice(&self) -> bool {
        self.inside_notice
    }

    /// The link is gone: a message that was under way will have no end.
    pub fn cut_off(&mut self) {
        self.inside_notice = false;
    }

    /// No more requests are taken: when what is due has come, nothing more goes to the client.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Returns whether silence is normal: the session waits for messages or for a stream.
    pub fn listens(&self) -> bool {
        self.opaque || self.subscriptions.any()
    }

    /// Returns whether Redis may be queueing what it is sent.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_open()
    }

    /// Returns what the client is spoken to in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The selected database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Returns what the client calls itself.
    pub fn name(&self) -> Option<&Bytes> {
        self.name.as_ref()
    }

    /// Returns whether the session has a link of its own, or would at its first request.
    pub fn is_leased(&self) -> bool {
        self.leased
    }

    /// From here on the session has a link of its own, which has been given the session's name.
    pub fn lease(&mut self) {
        self.leased = true;
        self.left_on_lease.named |= self.name.is_some();
    }

    /// Returns whether nothing is left on the session's own link that cannot be undone.
    pub fn is_reusable(&self) -> bool {
        !self.holds_lease() && !self.left_on_lease.other
    }

    /// Returns whether `WATCH` has gone over the session's own link.
    pub fn has_watched(&self) -> bool {
        self.left_on_lease.watches
    }

    /// Returns whether `SELECT` has gone over the session's own link.
    pub fn has_selected(&self) -> bool {
        self.left_on_lease.selects
    }

    /// Returns whether the session's own link has been given a name.
    pub fn has_named(&self) -> bool {
        self.left_on_lease.named
    }

    /// The number of the session's own link, if the client has been told it.
    pub fn client_id(&self) -> Option<i64> {
        self.client_id
    }

    /// Returns whether the session's own link has state, or the session is to keep one. Certain only when
    /// nothing is due.
    pub fn holds_lease(&self) -> bool {
        self.private
            || self.pinned
            || self.opaque
            || self.transaction.holds()
            || self.subscriptions.any()
    }

    /// The link that was its own is given back. Nothing may be due.
    pub fn end_lease(&mut self) {
        self.leased = false;
        self.left_on_lease = LeftOnLease::default();
        self.client_id = None;
        self.transaction.settle();
        self.queued_protocol = None;
    }

    /// Returns whether a transaction is open for the client that Redis has not been told of, since it had no
    /// time for a link. The session's next link must be told, and then the transaction fails.
    pub fn take_aborted_transaction(&mut self) -> bool {
        self.transaction.take_aborted()
    }

    /// Nothing is due any more, so beliefs give way to what replies have said.
    pub fn settle(&mut self) {
        self.transaction.settle();
    }

    /// The limits that hold for the next request.
    pub fn request_limits<'a>(&self, limits: &'a Limits) -> &'a RequestLimits {
        if self.is_authenticated() { &limits.request } else { &RequestLimits::UNAUTHENTICATED }
    }

    /// Channels, patterns and shard channels that the session is subscribed to: what Redis has
    /// confirmed, and the most that can have come of what it has not been heard to.
    pub fn subscriptions(&self) -> u32 {
        self.subscriptions.total().saturating_add(self.unread_subscriptions)
    }

    /// Returns whether nothing about the session keeps a plain request from being passed on as it came.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.is_authenticated() && self.replies == ReplyMode::On && !self.opaque
    }

    /// Makes the changes of a request that has been decided on, in the order of requests.
    pub fn apply(&mut self, change: Change) {
        if change.authenticated.is_some() {
            self.authenticated = change.authenticated;
        }
        if let Some(attempts) = change.attempts {
            self.attempts = attempts;
        }
        if let Some(believed) = change.in_transaction {
            self.transaction.believed = believed;
        }
        if let Some(protocol) = change.queued_protocol {
            self.queued_protocol = protocol;
        }
        if let Some(database) = change.database {
            self.database = database;
        }
        if let Some(protocol) = change.protocol {
            self.protocol = protocol;
        }
        if let Some(name) = change.name {
            self.name = Some(name).filter(|name| !name.is_empty());
        }
        if let Some(replies) = change.replies {
            self.replies = replies;
        }
        self.unread_subscriptions =
            self.unread_subscriptions.saturating_add(change.unread_subscriptions);
        self.left_on_lease.add(change.left_on_lease);
        self.pinned |= change.pins;
        self.opaque |= change.opaque;
        self.replies.request_done();
    }

    /// A request without arguments came; Redis answers nothing, but it counts for `CLIENT REPLY SKIP`,
    /// and before a right `AUTH` against the `most` attempts that a session has. Returns whether the
    /// session has used them up, and is to be closed.
    pub fn empty_request(&mut self, most: u32) -> bool {
        self.replies.request_done();
        if self.is_authenticated() {
            return false;
        }
        self.attempts = self.attempts.after_idle_request();
        self.attempts.refused > most
    }

    /// Forgets the name of a client that gets no further reply.
    pub fn forget_name(&mut self) {
        self.name = None;
    }

    /// Bytes that the state holds besides its own size.
    pub fn memory(&self) -> usize {
        self.name.as_ref().map_or(0, Bytes::len)
    }

    /// Returns whether the client sees the reply to the request that is being decided.
    pub fn shows_replies(&self) -> bool {
        self.replies.visible()
    }

    /// Makes it as after `RESET`. The count of refused commands stays.
    pub fn reset(&mut self) {
        *self = Self { attempts: self.attempts, ..Self::new(self.private) };
    }

    /// Returns whether Redis refuses everything but pub/sub commands on this connection now.
    pub(super) fn restricted(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions.any()
    }

    /// Returns whether a reply that is due may change [`State::restricted`].
    pub(super) fn restriction_unsettled(&self, due: &PendingReplies) -> bool {
        due.confirming() || (self.subscriptions.any() && due.remote() > 0)
    }

    /// Returns whether what a request does depends on what only Redis knows.
    pub(super) fn asks_redis(&self, due: &PendingReplies) -> bool {
        self.opaque || self.transaction.believed || due.confirming() || self.subscriptions.any()
    }
}
