//! What an identity may run, and the bytes that a refused command is answered with.
//!
//! Owns: rules, escapes, their compiled form, which scripts run, the decision, and Redis's errors
//! for commands that do not exist. Leaves to [`crate::session`]: when a command is judged, and what
//! a refusal inside `MULTI` does.
//!
//! A request is judged by [`Policy::decide`] and then [`Scripts::decide`]. A [`Denied`] tells what
//! to answer and which rule it comes from; [`Escapes::why`], why that rule stands.
//!
//! Invariants: a decision about a known command is one bit test; a [`Policy`] never changes; a
//! [`Denied`] shows text of the table or the rules, never the client's bytes.
//!
//! Redis compares command names as C strings once their hashes have led it to the same bucket, so
//! `FLUSHALL`, a NUL and a few bytes more run FLUSHALL in about one try of 256 (seen on 7.0.15).
//! Such a name is no honest client's: it is always refused, as the unknown command that Redis
//! mostly takes it for.

mod compiled;
mod decision;
mod error;
mod escapes;
mod refusal;
mod scripts;

pub use compiled::Policy;
pub use decision::{Decision, Denied, Objection, RuleName, Verdict};
pub use error::PolicyError;
pub use escapes::Escapes;
pub use refusal::{unknown_command, unknown_subcommand, wrong_arity};
pub use scripts::{Pins, Scripts};
