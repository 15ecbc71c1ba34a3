//! What a request changes in the state of its session, as data.

use bytes::Bytes;

use super::client_reply::ReplyMode;
use crate::auth::Authenticated;
use crate::resp::Protocol;

/// What a request changes in the state of its session. The default changes nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Who the session is, after a right `AUTH`.
    pub(super) authenticated: Option<Authenticated>,
    /// Counts of refused and of idle requests before a right `AUTH`, as they are from here on.
    pub(super) attempts: Option<Attempts>,
    /// Whether a transaction is believed to be open.
    pub(super) in_transaction: Option<bool>,
    /// The protocol that a `HELLO` inside the transaction asks for; `Some(None)` forgets it.
    pub(super) queued_protocol: Option<Option<Protocol>>,
    /// The selected database.
    pub(super) database: Option<u32>,
    /// The protocol that the client is spoken to in.
    pub(super) protocol: Option<Protocol>,
    /// What the client calls itself; empty for no name.
    pub(super) name: Option<Bytes>,
    /// Which replies the client wants.
    pub(super) replies: Option<ReplyMode>,
    /// Channels that are asked for where no confirmation can be read.
    pub(super) unread_subscriptions: u32,
    /// What has to be undone on the session's own link, besides what had to be before.
    pub(super) left_on_lease: LeftOnLease,
    /// Whether the connection has state from here on that only its end, or `RESET`, ends.
    pub(super) pins: bool,
    /// Whether the link carries a stream from here on.
    pub(super) opaque: bool,
}

/// How much a session that has not authenticated has used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Refused commands since the last right `AUTH`; `RESET` does not set it back.
    pub(super) refused: u32,
    /// Requests that Redis takes from anybody and that do nothing, since the last of them counted as
    /// a refused command.
    pub(super) idle: u32,
}

/// What a session's requests may have left on a link of its own, whatever was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOnLease {
    /// Watched keys.
    pub(super) watches: bool,
    /// Another database.
    pub(super) selects: bool,
    /// A name.
    pub(super) named: bool,
    /// A subscription, another protocol, or anything else that only the end of the link ends for sure.
    pub(super) other: bool,
}

impl Attempts {
    /// How many requests that do nothing count as one refused command.
    pub(super) const IDLE: u32 = 16;

    /// After one more request of a session that has not authenticated that does nothing: a blank line,
    /// `*0`, a negative count, `RESET`. Clients may begin with some, so [`Attempts::IDLE`] of them count
    /// as one refused command.
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
