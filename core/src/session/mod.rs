//! One client connection and its state.
//!
//! Owns: what a request means for this session ([`decide()`]), its authentication, its transaction,
//! reply and subscription state as far as Redoubt needs it, and the queue of its pending replies.
//! Leaves to [`crate::router`]: buffers, links, and carrying decisions out.
//!
//! Invariants: an unauthenticated session never gets a [`Decision`] that forwards; the state follows
//! the requests in the order in which Redis runs them, and where only Redis can know the outcome, its
//! reply decides.

mod bucket;
mod change;
mod client_reply;
mod clients;
mod compat;
mod decide;
mod decision;
mod event;
mod keys;
mod limits;
mod need;
mod replies;
mod rights;
mod rulebook;
mod rules;
mod shared;
mod stand_in;
mod state;
mod transaction;

pub use bucket::{Rate, TokenBucket};
pub use change::Change;
pub use clients::ids::{ClientIds, Renumbered};
pub use clients::list::{ClientFields, ClientLine};
pub use clients::own::{OpeningConnection, OwnConnection, OwnConnections};
pub use compat::{Answered, Compat, CompatKey, Flush, Flushed, Parameters};
pub(crate) use decide::is_held_whole;
pub use decide::{Known, answered, classify, decide, may_block};
pub use decision::{Action, Claim, Decision, Described, Given, Refusal, Refused, Special};
pub use event::{ClaimedUser, CloseReason, Event, Program};
pub use keys::KeyForm;
pub use limits::Limits;
pub use need::Need;
pub use replies::counts::{Counted, Counts, Outcome};
pub use replies::expect::{Edit, Expect, Learn, Show};
pub use replies::frame::Unexpected;
pub(crate) use replies::frame::{Begun, Frame, Source};
pub(crate) use replies::maintenance::moving;
pub use replies::pending::PendingReplies;
pub use replies::pubsub::Confirmations;
pub(crate) use replies::unsent::answer_unsent;
pub use rights::Rights;
pub use rulebook::Rulebook;
pub use rules::Rules;
#[cfg(test)]
pub(crate) use rules::for_tests as rules_for_tests;
pub use shared::{IdentityBounds, IdentityCounts, IdentityUsage, SharedLimits};
pub(crate) use shared::{LeasePlace, Pace, SessionPlace};
pub use stand_in::StandIn;
pub use state::State;
