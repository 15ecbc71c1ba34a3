//! The changes that a request makes to the state of its session, as data.

use bytes::Bytes;

use super::client_reply::ReplyMode;
use super::clients::ids::Renumbered;
use super::compat::Shown;
use crate::auth::{Authenticated, IdentityId};
use crate::resp::Protocol;

/// The changes that a request makes to the state of its session. The default changes nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Who the session is, after a successful `AUTH`.
    pub(super) authenticated: Option<Authenticated>,
    /// The new counts of refused and idle requests before a successful `AUTH`.
    pub(super) attempts: Option<Attempts>,
    /// True if a transaction is expected to be open.
    pub(super) in_transaction: Option<bool>,
    /// The protocol that a `HELLO` inside the transaction selects; `Some(None)` clears it.
    pub(super) queued_protocol: Option<Option<Protocol>>,
    /// The selected database.
    pub(super) database: Option<u32>,
    /// The protocol of the client's replies.
    pub(super) protocol: Option<Protocol>,
    /// The client's name; empty for no name.
    pub(super) name: Option<Bytes>,
    /// Which replies the client wants.
    pub(super) replies: Option<ReplyMode>,
    /// The parameters of the server that the reply shows.
    pub(super) shown_parameters: Shown,
    /// Number of channels that the request subscribes to on a connection whose confirmations cannot be
    /// read.
    pub(super) unread_subscriptions: u32,
    /// State that must be undone on the session's lease, in addition to earlier requests.
    pub(super) left_on_lease: LeftOnLease,
    /// True if the connection has state from now on that lasts until it ends or `RESET`.
    pub(super) pins: bool,
    /// True if the link carries a stream from now on.
    pub(super) opaque: bool,
    /// The name and the version of the client's library, where one is set.
    pub(super) library: Option<Box<[Option<Bytes>; 2]>>,
    /// True if the client is told the session's number, so that others may name it.
    pub(super) tells_id: bool,
    /// Whether the client wants maintenance notifications.
    pub(super) maint_notifications: Option<bool>,
    /// True if the client may believe from now on that the server has its scripts.
    pub(super) uses_scripts: bool,
    /// The lease to which invalidations are redirected from now on, and the number of its session.
    pub(super) redirects_to: Option<Box<Renumbered>>,
}

impl Change {
    /// Returns the identity that the session gets.
    pub fn identity(&self) -> Option<IdentityId> {
        self.authenticated.as_ref().map(|authenticated| authenticated.identity)
    }

    /// Returns true if the client is told the session's number.
    pub fn tells_id(&self) -> bool {
        self.tells_id
    }
}

/// The failed attempts of an unauthenticated session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Refused commands since the last successful `AUTH`; `RESET` does not set the count to zero.
    pub(super) refused: u32,
    /// Requests without effect that Redis accepts from unauthenticated clients, since the last time
    /// that they were counted as a refused command.
    pub(super) idle: u32,
}

/// State that a session's requests may have left on its lease, whatever the replies were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOnLease {
    /// True if keys may be watched.
    pub(super) watches: bool,
    /// True if another database may be selected.
    pub(super) selects: bool,
    /// True if the link may have a name.
    pub(super) named: bool,
    /// True if the link may have a subscription, another protocol, or other state that only closing it
    /// removes for certain.
    pub(super) other: bool,
}

impl Attempts {
    /// Number of requests without effect that count as one refused command.
    pub(super) const IDLE: u32 = 16;

    /// Returns the counts after one more request of an unauthenticated session that has no effect: a
    /// blank line, `*0`, a negative count, `RESET`. Clients may begin with a few, so only every
    /// [`Attempts::IDLE`] of them count as one refused command.
    pub(super) fn after_idle_request(self) -> Self {
        let idle = self.idle.saturating_add(1);
        if idle < Self::IDLE {
            return Self { idle, ..self };
        }
        Self { idle: 0, refused: self.refused.saturating_add(1) }
    }
}

impl LeftOnLease {
    pub(super) fn add(&mut self, more: Self) {
        self.watches |= more.watches;
        self.selects |= more.selects;
        self.named |= more.named;
        self.other |= more.other;
    }
}
