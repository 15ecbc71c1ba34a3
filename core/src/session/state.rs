//! The state of a session, in the order in which Redis runs its requests.

use std::sync::Arc;

use bytes::Bytes;

use super::change::{Attempts, Change, LeftOnLease};
use super::client_reply::ReplyMode;
use super::clients::ids::Renumbered;
use super::clients::list::Tracked;
use super::compat::Shown;

use super::limits::Limits;
use super::replies::pending::PendingReplies;
use super::replies::pubsub::Subscriptions;
use super::rules::Rules;
use super::transaction::Transaction;
use crate::auth::{Authenticated, IdentityId};
use crate::resp::{Protocol, RequestLimits};

/// The state that requests and replies change. Buffers, queues and links are elsewhere.
///
/// There is no `Debug`, because the state holds the client's name.
///
/// What cannot be known before Redis has answered (for example whether `MULTI` was accepted) is an
/// assumption here, and nothing that protects other sessions may depend on it.
#[derive(Default)]
pub struct State {
    /// Who the session is, by the last successful `AUTH` or its certificate. A wrong `AUTH` changes nothing, as in
    /// Redis; `RESET` clears it, unless the certificate says it. Nothing else in Redoubt keeps who a session is.
    pub(super) authenticated: Option<Authenticated>,
    /// True if the client's certificate says who the session is, as long as it lasts.
    pub(super) is_certified: bool,
    /// Failed attempts before a successful `AUTH`.
    pub(super) attempts: Attempts,
    /// The protocol of the client's replies, by the replies that have arrived.
    pub(super) protocol: Protocol,
    /// The selected database, by the replies that have arrived.
    pub(super) database: u32,
    /// The database that a reply has selected since [`State::take_confirmed_database`].
    pub(super) confirmed_database: Option<u32>,
    /// The state of `MULTI` and `WATCH`.
    pub(super) transaction: Transaction,
    /// The protocol that a `HELLO` inside the transaction selects when it runs.
    pub(super) queued_protocol: Option<Protocol>,
    /// Which replies the client wants.
    pub(super) replies: ReplyMode,
    /// The subscriptions that Redis has confirmed.
    pub(super) subscriptions: Subscriptions,
    /// Number of channels subscribed to on a connection whose confirmations cannot be read.
    pub(super) unread_subscriptions: u32,
    /// The client's name; each lease of the session gets it.
    pub(super) name: Option<Bytes>,
    /// The name and the version of the client's library, if it has set one of them.
    pub(super) library: Option<Box<[Bytes; 2]>>,
    /// True if the session has a lease, or gets one at its first request.
    pub(super) leased: bool,
    /// State that must be undone on the lease before another session may have it.
    pub(super) left_on_lease: LeftOnLease,
    /// The session's number, as clients are shown it.
    pub(super) client_id: i64,
    /// True if the client knows the session's number by `CLIENT ID`, so that others may name it.
    pub(super) knows_id: bool,
    /// The server's number of the lease, once it is needed and known.
    pub(super) lease_id: Option<i64>,
    /// Whether the server tracks what the session reads.
    pub(super) tracked: Tracked,
    /// True if the client may believe that the server has its scripts. Libraries such as ioredis load a script
    /// once for each connection, and then send its digest alone, also inside transactions.
    pub(super) uses_scripts: bool,
    /// True if the client has asked for maintenance notifications without an address.
    pub(super) maint_notifications: bool,
    /// The lease to which invalidations are redirected, and the number of its session.
    pub(super) redirects_to: Option<Box<Renumbered>>,
    /// The parameters of the server that replies have shown, so that each is logged once.
    pub(super) shown_parameters: Shown,
    /// True if the connection has state that lasts until the session ends or sends `RESET`.
    pub(super) pinned: bool,
    /// True if the session keeps a lease even when it does not need one.
    pub(super) private: bool,
    /// True if the link carries a stream instead of one reply for each request. The stream is passed on
    /// unread, so no reply of Redoubt's own can be put in order.
    pub(super) opaque: bool,
    /// True if the client has received the beginning of a message and not its end, so that no reply may
    /// be inserted now.
    pub(super) inside_notice: bool,
    /// True if the session takes no more requests: the client gets its pending replies and nothing
    /// more.
    pub(super) ended: bool,
}

impl State {
    /// Number of requests without effect that count as one refused command before a successful `AUTH`.
    pub const IDLE_REQUESTS: u32 = Attempts::IDLE;

    /// Creates the state before the first request. With `private`, the session has a lease as long as
    /// it lives.
    pub fn new(private: bool) -> Self {
        Self { private, leased: private, ..Self::default() }
    }

    /// Returns true after a successful `AUTH`, until `RESET`.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.is_some()
    }

    /// Returns who the session is since the last successful `AUTH`; `None` before it, and after `RESET`.
    pub fn authenticated(&self) -> Option<&Authenticated> {
        self.authenticated.as_ref()
    }

    /// Returns the identity of the last successful `AUTH`; nobody before it, and after `RESET`.
    #[inline]
    pub fn identity(&self) -> IdentityId {
        self.authenticated.as_ref().map_or(IdentityId::NOBODY, |who| who.identity)
    }

    /// Returns the user that the last right `AUTH` was made for; `None` before it, and after `RESET`.
    pub fn user(&self) -> Option<&Arc<str>> {
        self.authenticated.as_ref().map(|authenticated| &authenticated.user)
    }

    /// Makes the session that of the client whose certificate the handshake has verified. It stays so until the
    /// session ends, also after `RESET`.
    pub fn certify(&mut self, who: Authenticated) {
        self.authenticated = Some(who);
        self.is_certified = true;
    }

    /// Returns true if the client's certificate says who the session is.
    pub fn is_certified(&self) -> bool {
        self.is_certified
    }

    /// Returns the user that the client's certificate says; `None` if it says none.
    pub(super) fn certified_user(&self) -> Option<&Arc<str>> {
        self.user().filter(|_| self.is_certified)
    }

    /// Returns true if Redoubt can send an `AUTH` of its own over the session's link before the
    /// session's next request: Redis would run it at once, and its reply can be recognized.
    pub fn can_log_in_again(&self, due: &PendingReplies) -> bool {
        !self.opaque
            && !self.transaction.is_open()
            && !self.restricted()
            && !self.restriction_may_change(due)
    }

    /// Returns true if the link's bytes are passed on unread from now on.
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Returns true if a reply of Redoubt's own has to wait until the message that the client is
    /// receiving has ended.
    pub fn is_inside_notice(&self) -> bool {
        self.inside_notice
    }

    /// The client is given the beginning of a message or an invalidation.
    pub(crate) fn begin_notice(&mut self) {
        self.inside_notice = true;
    }

    /// Returns whether the server may send pushes on the session's own link that no subscription explains.
    pub(super) fn may_get_pushes(&self) -> bool {
        self.pinned || self.private
    }

    /// Returns whether the session takes no more requests.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Records that the link is closed: a message that had begun will not end.
    pub fn cut_off(&mut self) {
        self.inside_notice = false;
    }

    /// Stops taking requests: after the pending replies, nothing more goes to the client.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Returns true if silence is normal, because the client waits for messages or for a stream.
    pub fn listens(&self) -> bool {
        self.opaque || self.subscriptions.any()
    }

    /// Returns true if Redis may be queueing commands for a transaction.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_open()
    }

    /// Returns the protocol of the client's replies.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns the selected database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Returns the client's name.
    pub fn name(&self) -> Option<&Bytes> {
        self.name.as_ref()
    }

    /// Returns true if the session has a lease, or gets one at its first request.
    pub fn is_leased(&self) -> bool {
        self.leased
    }

    /// Records that the session has a lease, which has been given the session's name.
    pub fn lease(&mut self) {
        self.leased = true;
        self.left_on_lease.named |= self.name.is_some();
    }

    /// Returns true if everything that the session left on its lease can be undone.
    pub fn is_reusable(&self) -> bool {
        !self.holds_lease() && !self.left_on_lease.other
    }

    /// Returns true if `WATCH` was sent over the session's lease.
    pub fn has_watched(&self) -> bool {
        self.left_on_lease.watches
    }

    /// Returns true if `SELECT` was sent over the session's lease.
    pub fn has_selected(&self) -> bool {
        self.left_on_lease.selects
    }

    /// Returns true if the session's lease has been given a name.
    pub fn has_named(&self) -> bool {
        self.left_on_lease.named
    }

    /// Sets the session's number, as clients are shown it.
    pub fn set_client_id(&mut self, id: i64) {
        self.client_id = id;
    }

    /// Returns the session's number, as clients are shown it.
    pub fn client_id(&self) -> i64 {
        self.client_id
    }

    /// Returns true if the client knows the session's number by `CLIENT ID`.
    pub fn knows_id(&self) -> bool {
        self.knows_id
    }

    /// Returns the server's number of the session's lease, once it is known.
    pub fn lease_id(&self) -> Option<i64> {
        self.lease_id
    }

    /// Records that the session must keep its lease.
    pub fn keep_lease(&mut self) {
        self.pinned = true;
    }

    /// Returns true if the session's lease has state, or the session keeps a lease. The result is
    /// certain only when no reply is pending.
    pub fn holds_lease(&self) -> bool {
        self.private
            || self.pinned
            || self.opaque
            || self.transaction.holds()
            || self.subscriptions.any()
    }

    /// Records that the session has returned its lease. The caller ensures that no reply is pending.
    pub fn end_lease(&mut self) {
        self.leased = false;
        self.left_on_lease = LeftOnLease::default();
        self.lease_id = None;
        self.transaction.trust_replies();
        self.queued_protocol = None;
    }

    /// Returns true if the client has opened a transaction that Redis does not know, because Redis had
    /// no time to prepare a link. The caller opens it on the session's next link, where it must fail.
    pub fn take_aborted_transaction(&mut self) -> bool {
        self.transaction.take_aborted()
    }

    /// Replaces assumptions by what the replies have shown. The caller ensures that no reply is
    /// pending.
    pub fn trust_replies(&mut self) {
        self.transaction.trust_replies();
    }

    /// Returns the database that a reply has selected, once.
    pub fn take_confirmed_database(&mut self) -> Option<u32> {
        self.confirmed_database.take()
    }

    /// Returns the limits for the next request.
    pub fn request_limits<'a>(&self, limits: &'a Limits) -> &'a RequestLimits {
        match (self.is_authenticated(), limits.request.crlf) {
            (true, _) => &limits.request,
            (false, false) => &RequestLimits::UNAUTHENTICATED,
            (false, true) => &RequestLimits::UNAUTHENTICATED_CRLF,
        }
    }

    /// Returns the name and the version of the client's library; empty where it has set none.
    pub fn library(&self) -> [Bytes; 2] {
        self.library.as_deref().cloned().unwrap_or_default()
    }

    /// Returns whether the server tracks what the session reads.
    pub fn tracked(&self) -> Tracked {
        self.tracked
    }

    /// Returns the number of the session to which invalidations are redirected.
    pub fn redirects_to(&self) -> Option<i64> {
        self.redirects_to.as_ref().map(|ids| ids.session)
    }

    /// Returns whether a maintenance notification can be put between the replies of the client, which has asked
    /// for notifications and understands them.
    pub(crate) fn takes_maint_notifications(&self) -> bool {
        self.maint_notifications && self.protocol == Protocol::Resp3 && !self.opaque && !self.ended
    }

    /// Returns the numbers of channels, patterns and shard channels that Redis has confirmed.
    pub fn subscribed(&self) -> [u32; 3] {
        self.subscriptions.counts()
    }

    /// Returns the number of channels, patterns and shard channels of the session: those that Redis has
    /// confirmed, and the most that may have been added where confirmations are not read.
    pub fn subscriptions(&self) -> u32 {
        self.subscriptions.total().saturating_add(self.unread_subscriptions)
    }

    /// Returns true if a plain request of the session can be forwarded unchanged.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.is_authenticated() && self.replies == ReplyMode::On && !self.opaque
    }

    /// Applies the changes of a request after its decision, in the order of requests.
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
        self.shown_parameters = self.shown_parameters.and(change.shown_parameters);
        self.left_on_lease.add(change.left_on_lease);
        self.pinned |= change.pins;
        self.knows_id |= change.tells_id;
        self.maint_notifications = change.maint_notifications.unwrap_or(self.maint_notifications);
        self.uses_scripts |= change.uses_scripts;
        if let Some(library) = change.library {
            let kept = self.library.get_or_insert_default();
            for (kept, set) in kept.iter_mut().zip(*library) {
                *kept = set.unwrap_or_else(|| std::mem::take(kept));
            }
        }
        if change.redirects_to.is_some() {
            self.redirects_to = change.redirects_to;
        }
        self.opaque |= change.opaque;
        self.replies.request_done();
    }

    /// Returns true if the client may believe that the server has its scripts.
    pub fn uses_scripts(&self) -> bool {
        self.uses_scripts
    }

    /// Handles a request without arguments. Redis does not answer it, but it counts for `CLIENT REPLY
    /// SKIP`, where the server's dialect says so, and as an attempt before a successful `AUTH`. Returns
    /// true if the session has used up its attempts and must be closed.
    pub fn empty_request(&mut self, rules: &Rules) -> bool {
        if !rules.dialect.skips_past_empty_requests {
            self.replies.request_done();
        }
        if self.is_authenticated() {
            return false;
        }
        self.attempts = self.attempts.after_idle_request();
        self.attempts.refused > rules.auth_attempts
    }

    /// Drops the name of a client that gets no further reply.
    pub fn forget_name(&mut self) {
        self.name = None;
    }

    /// Returns the bytes that the state holds on the heap.
    pub fn memory(&self) -> usize {
        let library = self.library.iter().flat_map(|library| library.iter());
        let library: usize = library.map(Bytes::len).sum();
        self.name.as_ref().map_or(0, Bytes::len).saturating_add(library)
    }

    /// Returns true if the client gets the reply to the current request.
    pub fn shows_replies(&self) -> bool {
        self.replies.visible()
    }

    /// Resets the state as `RESET` does. The count of refused commands stays, and so does the user that the client's
    /// certificate says: Redis's user to whom `RESET` returns is one who needs no password, too.
    pub fn reset(&mut self) {
        let (attempts, client_id, uses_scripts) =
            (self.attempts, self.client_id, self.uses_scripts);
        let library = std::mem::take(&mut self.library);
        let is_certified = self.is_certified;
        *self = Self {
            authenticated: self.authenticated.take().filter(|_| is_certified),
            is_certified,
            attempts,
            client_id,
            uses_scripts,
            library,
            ..Self::new(self.private)
        };
    }

    /// Returns true if Redis rejects all but pub/sub commands on this connection now.
    pub(super) fn restricted(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions.any()
    }

    /// Returns true if a pending reply may change the result of [`State::restricted`].
    pub(super) fn restriction_may_change(&self, due: &PendingReplies) -> bool {
        due.confirming() || (self.subscriptions.any() && due.remote() > 0)
    }

    /// Returns true if the effect of a request depends on state that only Redis knows.
    pub(super) fn asks_redis(&self, due: &PendingReplies) -> bool {
        self.opaque || self.transaction.believed || due.confirming() || self.subscriptions.any()
    }
}
