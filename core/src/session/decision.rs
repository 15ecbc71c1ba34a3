//! Decisions about requests, as data: the action, the changes to the session's state, and what is
//! logged. Making a decision changes nothing; the router carries it out.

use bytes::Bytes;

use super::change::Change;
use super::clients::list::ClientLine;
use super::compat::{Answered, Flush, Flushed};
use super::event::{ClaimedUser, CloseReason};
use super::need::Need;
use super::replies::expect::Expect;
use crate::policy::RuleName;

/// The decision about a request. There is no `Debug`: it may hold the link's own credentials.
#[expect(
    clippy::large_enum_variant,
    reason = "boxing would cost more than moving a special decision once"
)]
pub enum Decision {
    /// The request goes to the server unchanged, over any link with the session's database and
    /// protocol; its reply goes to the client and does not change the session's state. Most requests
    /// are of this kind.
    Plain,
    /// Any other decision.
    Special(Special),
}

impl Decision {
    /// Returns true if the request is carried out now, and the policy does not refuse its command.
    pub(crate) fn is_carried_out(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Special(special) => {
                special.refused.is_none() && special.answered.is_none() && !special.action.waits()
            }
        }
    }
}

/// A decision that is not [`Decision::Plain`].
#[derive(Clone, PartialEq, Eq)]
pub struct Special {
    /// The action to take.
    pub action: Action,
    /// The changes to the session's state.
    pub change: Change,
    /// The result of checking a claimed identity.
    pub claim: Claim,
    /// The refusal, if the policy refused the command.
    pub refused: Option<Box<Refused>>,
    /// The answer, if Redoubt answers a command that the policy refuses.
    pub answered: Option<Box<Answered>>,
}

/// The action for a request. There is no `Debug`: it may hold the link's own credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Replies with these bytes, after all pending replies.
    Reply(Bytes),
    /// Sends no reply.
    Silence,
    /// Sends the reply, if any, and then closes the session.
    Finish {
        /// The last reply.
        reply: Option<Bytes>,
        /// Why the session ends.
        reason: CloseReason,
    },
    /// Forwards the request unchanged.
    Forward {
        /// The handling of its reply.
        expect: Expect,
        /// The kind of link that it needs.
        need: Need,
    },
    /// Forwards another request in its place.
    Substitute {
        /// The complete substitute request.
        request: Bytes,
        /// The handling of its reply.
        expect: Expect,
        /// The kind of link that it needs.
        need: Need,
    },
    /// Gives up the session's link and replies `+RESET`, if the client wants replies.
    Reset {
        /// True if the client gets the reply.
        shown: bool,
    },
    /// The meaning of the request depends on pending replies: nothing changes until they have arrived.
    AwaitReplies,
    /// The request asks for descriptions of clients, which the program collects, or to end clients: nothing
    /// changes until that is done.
    AwaitClients(Described),
    /// The request names another session, which gets a lease for this: nothing changes until it has one. If
    /// it cannot get one, this is the reply.
    AwaitLease(Bytes),
    /// The program deletes keys in place of the request: nothing changes until it has.
    AwaitFlush(Flush),
}

/// What the program has found out or done for a request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The descriptions of clients that [`Action::AwaitClients`] asks for.
    Clients(Vec<ClientLine>),
    /// The sessions that [`Action::AwaitClients`] names have been ended.
    Ended {
        /// Number of sessions, the asking one included.
        count: usize,
        /// True if the asking session is among them: it ends with its reply.
        itself: bool,
    },
    /// The outcome of [`Action::AwaitFlush`].
    Flushed(Flushed),
}

/// Which sessions are to be described or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// All sessions that have authenticated, of all identities and in all workers.
    All,
    /// None: the sessions with these numbers, in ascending order, are to be ended, in all workers, but the asking one.
    Ended(Vec<i64>),
    /// The asking session.
    Itself,
}

/// The result of the claims in one `AUTH` or `HELLO`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// True if a claim was right and the session had not authenticated before.
    pub authenticates: bool,
    /// The user of the wrong claim.
    pub failed: Option<ClaimedUser>,
    /// True if a claim was right for another identity, which the session cannot become now.
    pub is_elsewhere: bool,
    /// True if a claim was for another user than that of the client's certificate.
    pub is_certified: bool,
}

/// A request that the policy refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was refused, and why.
    pub refusal: Refusal,
    /// The command's keys, in the form that [`Rules::keys`](super::Rules::keys) selects; empty before a
    /// successful `AUTH`.
    pub keys: Vec<String>,
}

/// A command that the policy refuses, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The command; never the client's bytes. Of a subcommand that the table does not have, it is the container;
    /// of a command that it does not have, the rule.
    pub command: RuleName,
    /// The rule that refused it; never the client's bytes.
    pub rule: RuleName,
    /// The key of the configuration by which an operator can have it run, or answered; `None` if there is none,
    /// and before a successful `AUTH`.
    pub opened_by: Option<&'static str>,
}

impl Action {
    /// Returns true if the reply will hold descriptions of many clients.
    pub fn lists_clients(&self) -> bool {
        matches!(self, Self::Forward { expect, .. } if expect.lists_clients())
    }

    /// Returns true if the request waits, and nothing has changed.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Self::AwaitReplies | Self::AwaitClients(_) | Self::AwaitLease(_) | Self::AwaitFlush(_)
        )
    }

    /// Returns the kind of link that the request needs; `None` if Redoubt answers or there is no reply.
    pub fn need(&self) -> Option<Need> {
        match self {
            Self::Forward { need, .. } | Self::Substitute { need, .. } => Some(*need),
            _ => None,
        }
    }
}

impl From<Action> for Special {
    fn from(action: Action) -> Self {
        Self {
            action,
            change: Change::default(),
            claim: Claim::default(),
            refused: None,
            answered: None,
        }
    }
}
