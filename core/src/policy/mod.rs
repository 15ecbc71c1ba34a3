//! The policy decides which commands clients may run, and how refused commands are answered.
//!
//! Owns: rules, escapes, their compiled form, which scripts run, the decision, and Redis's errors for
//! commands that do not exist. Leaves to [`crate::session`]: when a command is checked, and what a
//! refusal inside `MULTI` does.
//!
//! [`Policy::decide`] checks a request first, then [`Scripts::decide`]. A [`Denied`] has the reply and
//! the rule; [`Escapes::why`] gives the reason for a rule against an escape.
//!
//! Invariants: a decision about a known command is one bit test; a [`Policy`] never changes; a
//! [`Denied`] shows text of the table or the rules, never the client's bytes.
//!
//! Redis compares command names as C strings once their hashes have led it to the same bucket, so
//! `FLUSHALL`, a NUL and a few bytes more run FLUSHALL in about one of 256 tries (observed on 7.0.15).
//! No honest client sends such a name. It is always refused, as the unknown command that Redis takes it
//! for in the other cases.

mod compiled;
mod decision;
mod error;
mod escapes;
mod origin;
mod refusal;
mod scripts;

pub use compiled::Policy;
pub use decision::{Decision, Denied, Objection, RuleName, Verdict};
pub use error::PolicyError;
pub use escapes::{Escapes, Reviewed};
pub use origin::Origin;
pub use refusal::{unknown_command, unknown_subcommand, wrong_arity};
pub use scripts::{Pins, Scripts};
