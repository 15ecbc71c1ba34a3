//! The guard: a restricted user of Redis's ACL that links log in as, so that Redis itself refuses
//! what the policy refuses, in scripts, functions and transactions too.
//!
//! Owns: the guard's name and secret, its rights, the commands that make it and check it, and what
//! their answers mean. Leaves to the program: the connection they travel on, and when.
//!
//! The guard's rights are those of the user that Redoubt was configured with, less the policy's
//! rules, and never more. It is made in steps, none of which gives anybody a right that is refused:
//!
//! 1. `ACL WHOAMI` and `ACL LIST` tell the configured user's rights ([`Rights`]).
//! 2. `ACL SETUSER name reset off` makes a user whom nobody can log in as; one `-rule` after another
//!    tells which of the rules name something that this Redis has.
//! 3. One `ACL SETUSER`, which is atomic, gives it its password and its rights.
//! 4. Each command that is refused is tried, without running it ([`Probe`]). One that would run means
//!    that there is no guard.
//!
//! The secret is known to this process alone: Redis is sent its SHA-256 digest, and the secret itself
//! only to log in. Where no guard can be made, the configured user is tried in the same way.

mod advice;
mod batch;
mod check;
mod payloads;
mod renamed;
mod rights;
mod stale;
mod user;

pub use advice::{advice, is_typed};
pub use batch::{Answer, Answers, AnswersError, Batch, GuardError};
pub use check::{Probe, Verdict, probes};
pub use payloads::{Payloads, ask_payloads};
pub use renamed::{ask_all, ask_names, refused_commands, renamed};
pub use rights::Rights;
pub use stale::{MAX_REMOVED, connected_users, guards_in, remove, stale};
pub use user::{Guard, made_at};
