//! What becomes of a request, as data: the action, what changes in the session's state, and what is worth
//! a log line. Making a decision changes nothing; the router carries it out.

use bytes::Bytes;

use super::client_reply::ReplyMode;
use super::event::{ClaimedUser, CloseReason};
use super::need::Need;
use super::replies::expect::Expect;
use super::state::LeftOnLease;
use crate::auth::CredentialId;
use crate::policy::RuleName;
use crate::resp::Protocol;

/// What becomes of a request. There is no `Debug`: it may hold the link's own credentials.
pub enum Decision {
    /// The request goes to the server as it came, over any link of the session's database and protocol;
    /// its reply goes to the client and tells nothing. Most requests are of this kind.
    Plain,
    /// Anything else.
    Special(Special),
}

/// A decision that is not [`Decision::Plain`].
#[derive(Clone, PartialEq, Eq)]
pub struct Special {
    /// What to do with the request.
    pub action: Action,
    /// What changes in the session's state.
    pub change: Change,
    /// What a claim of an identity came to.
    pub claim: Claim,
    /// Present if the policy refused the command.
    pub refusal: Option<Refusal>,
}

/// What to do with a request. There is no `Debug`: it may hold the link's own credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer it with these bytes, after all that is due.
    Reply(Bytes),
    /// Answer nothing.
    Silence,
    /// Answer it, if there is an answer, and close the session after that.
    Finish {
        /// The last reply.
        reply: Option<Bytes>,
        /// Why the session ends.
        reason: CloseReason,
    },
    /// Pass it on as it came.
    Forward {
        /// What its reply is for.
        expect: Expect,
        /// Over which kind of link.
        need: Need,
    },
    /// Pass another request on in its place.
    Substitute {
        /// A whole request.
        request: Bytes,
        /// What its reply is for.
        expect: Expect,
        /// Over which kind of link.
        need: Need,
    },
    /// Let the link go and answer `+RESET`, if the client wants that.
    Reset {
        /// Whether the answer is shown.
        shown: bool,
    },
    /// Replies that are due decide what the request means: nothing changes until they have come.
    Unsettled,
}

/// What a request changes in the state of its session. The default changes nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What a right `AUTH` was made with.
    pub(super) authenticated: Option<CredentialId>,
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

/// What the claims in one `AUTH` or `HELLO` came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Whether one was right and the session had not authenticated before.
    pub authenticates: bool,
    /// The user of the wrong one.
    pub failed: Option<ClaimedUser>,
}

/// A command that the policy refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused it; never the client's bytes.
    pub rule: RuleName,
    /// Its keys, as [`Rules::keys`](super::Rules::keys) wants them; none before a right `AUTH`.
    pub keys: Vec<String>,
}

impl Attempts {
    /// After one more request of a session that has not authenticated that does nothing: a blank line,
    /// `*0`, a negative count, `RESET`. Clients may begin with some, so
    /// [`State::IDLE_REQUESTS`](super::State::IDLE_REQUESTS) of them count as one refused command.
    pub(super) fn after_idle_request(self) -> Self {
        let idle = self.idle.saturating_add(1);
        if idle < super::State::IDLE_REQUESTS {
            return Self { idle, ..self };
        }
        Self { idle: 0, refused: self.refused.saturating_add(1) }
    }
}

impl Decision {
    /// Which kind of link the request needs; `None` where Redoubt answers, or nobody does.
    #[inline]
    pub fn need(&self) -> Option<Need> {
        match self {
            Self::Plain => Some(Need::Shared),
            Self::Special(special) => special.action.need(),
        }
    }
}

impl Action {
    /// Which kind of link the request needs; `None` where Redoubt answers, or nobody does.
    pub fn need(&self) -> Option<Need> {
        match self {
            Self::Forward { need, .. } | Self::Substitute { need, .. } => Some(*need),
            _ => None,
        }
    }
}

impl From<Action> for Special {
    fn from(action: Action) -> Self {
        Self { action, change: Change::default(), claim: Claim::default(), refusal: None }
    }
}
