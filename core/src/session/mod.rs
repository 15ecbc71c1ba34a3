//! One client connection and all that is known of it.
//!
//! Owns: what a request means for this session ([`State::decide`]), its authentication, its
//! transaction, reply and subscription state as far as Redoubt must know it, and the queue of
//! replies it is owed. Leaves to [`crate::router`]: buffers, links, and carrying decisions out.
//!
//! Invariants: a session that is not authenticated never gets a [`Step`] that forwards; what is
//! tracked here is derived from requests in the order in which Redis will run them, and where Redis
//! alone can know the outcome, Redis is asked.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod blocking;
mod bucket;
mod client_reply;
mod counts;
mod decide;
mod due;
mod event;
mod expect;
mod keys;
mod known;
mod limits;
mod login;
mod naming;
mod need;
mod plain;
mod pubsub;
mod receive;
mod redirect;
mod replies;
mod rules;
mod stand_in;
mod state;
mod transaction;
mod unsent;

pub use blocking::may_block;
pub use bucket::{Rate, TokenBucket};
pub use counts::{Counted, Counts, Outcome};
pub use decide::{Context, Step, find};
pub use due::DueQueue;
pub use event::{ClaimedUser, CloseReason, Event};
pub use expect::{Expect, Learn, Show};
pub use keys::KeyForm;
pub use limits::Limits;
pub use need::Need;
pub(crate) use plain::{plain_replies, replied_plainly};
pub use pubsub::Confirmations;
pub(crate) use receive::replied;
pub use receive::{Receiver, Unexpected};
pub use redirect::ClientIds;
pub use rules::Rules;
pub use stand_in::StandIn;
pub use state::State;
pub(crate) use unsent::answer_unsent;
