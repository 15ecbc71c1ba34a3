//! What Redoubt knows of a session, in the order in which Redis will run its requests.

use bytes::Bytes;

use super::client_reply::ReplyMode;
use super::due::DueQueue;
use super::pubsub::Subscriptions;
use crate::resp::Protocol;
use crate::resp::RequestLimits;

/// The state that requests and replies change. Buffers, queues and links are elsewhere.
///
/// What cannot be known before Redis has answered (whether `MULTI` was taken, say) is a belief here,
/// and nothing that protects others may rest on it.
#[derive(Debug, Default)]
pub struct State {
    /// Whether a right `AUTH` came and no `RESET` since.
    pub(super) authenticated: bool,
    /// Refused commands since the last right `AUTH`; `RESET` does not set it back.
    pub(super) refused: u32,
    /// What the connection speaks, by the replies that have come.
    pub(super) protocol: Protocol,
    /// Whether `MULTI` came and nothing that ends it: a belief.
    pub(super) transaction: bool,
    /// What a `HELLO` inside the transaction will switch to when it runs.
    pub(super) queued_protocol: Option<Protocol>,
    /// Which replies the client wants.
    pub(super) replies: ReplyMode,
    /// By Redis's own confirmations.
    pub(super) subscriptions: Subscriptions,
    /// From a `HELLO … SETNAME` before authentication; put on the link when one is taken.
    pub(super) pending_name: Option<Bytes>,
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
    /// Whether a right `AUTH` came and no `RESET` since.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the link's bytes are passed on unread from here on.
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Whether a reply that Redoubt makes has to wait for the end of a message that the client has
    /// been given the beginning of.
    pub fn is_inside_notice(&self) -> bool {
        self.inside_notice
    }

    /// Whether silence is normal: the session waits for messages or for a stream.
    pub fn listens(&self) -> bool {
        self.opaque || self.subscriptions.any()
    }

    /// The limits that hold for the next request.
    pub fn request_limits(&self) -> &'static RequestLimits {
        if self.authenticated {
            &RequestLimits::AUTHENTICATED
        } else {
            &RequestLimits::UNAUTHENTICATED
        }
    }

    /// A request without arguments came; Redis answers nothing, but it counts for `CLIENT REPLY SKIP`.
    pub fn empty_request(&mut self) {
        self.replies.request_done();
    }

    /// Whether the client sees the reply to the request that is being decided.
    pub fn shows_replies(&self) -> bool {
        self.replies.visible()
    }

    /// The name to give to the session's first link.
    pub fn take_pending_name(&mut self) -> Option<Bytes> {
        self.pending_name.take()
    }

    /// No more requests are taken: when what is due has come, nothing more goes to the client.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Makes it as after `RESET`. The count of refused commands stays.
    pub fn reset(&mut self) {
        *self = Self { refused: self.refused, ..Self::default() };
    }

    /// Whether Redis refuses everything but pub/sub commands on this connection now.
    pub(super) fn restricted(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions.any()
    }

    /// Whether a reply that is due may change [`State::restricted`].
    pub(super) fn restriction_unsettled(&self, due: &DueQueue) -> bool {
        due.confirming() || (self.subscriptions.any() && due.remote() > 0)
    }
}
