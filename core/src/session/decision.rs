//! What becomes of a request, as data: the action, what changes in the session's state, and what is worth
//! a log line. Making a decision changes nothing; the router carries it out.

use bytes::Bytes;

use super::change::Change;
use super::event::{ClaimedUser, CloseReason};
use super::need::Need;
use super::replies::expect::Expect;
use crate::policy::RuleName;

/// What becomes of a request. There is no `Debug`: it may hold the link's own credentials.
#[expect(clippy::large_enum_variant, reason = "boxing costs more than moving a special one once")]
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
    /// Permit it on as it came.
    Forward {
        /// What its reply is for.
        expect: Expect,
        /// Over which kind of link.
        need: Need,
    },
    /// Permit another request on in its place.
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

impl Action {
    /// Returns which kind of link the request needs; `None` where Redoubt answers, or nobody does.
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
