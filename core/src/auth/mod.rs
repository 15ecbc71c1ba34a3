//! Client identities, the constant-time check of what a client claims, and the limiter: who may connect,
//! how many, and what wrong passwords cost.
//!
//! Owns: what a right `AUTH` is; the counts of sessions over all workers. Leaves to
//! [`crate::session`]: when it is asked, and what is answered; to [`crate::router`]: delaying and
//! ending sessions.
//!
//! Invariants: the time of a check depends on the lengths of what the client sent and on nothing
//! that is secret; what a wrong password costs depends on where it came from, not on what it was; no
//! type here shows a secret in `Debug`; a place in a count comes back when its [`Permit`] is dropped.

mod identity;
mod limiter;
mod refusal;
mod source;
mod throttle;

pub use identity::{Authenticated, CredentialId, DEFAULT_USER, Identity};
pub use limiter::{ConnectionLimiter, ConnectionLimits, Networks, Permit, is_in};
pub use refusal::Refusal;
pub use source::Source;
pub use throttle::{Throttle, ThrottleLimits, Verdict};
