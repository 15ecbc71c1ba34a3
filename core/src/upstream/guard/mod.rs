//! The guard: a restricted user of Redis's ACL that links log in as, so that Redis itself refuses what
//! the policy refuses, in scripts, functions and transactions too.
//!
//! Owns: the guard's name and secret, its rights, the commands that create it and check it, and the
//! meaning of their replies. Leaves to the program: the connection on which they are sent, and when.
//!
//! The guard has the rights of the user that Redoubt is configured with, without the commands that the
//! policy refuses, and never more. It is created in steps, none of which gives anybody a right that is
//! refused:
//!
//! 1. `ACL WHOAMI` and `ACL LIST` return the configured user's rights ([`Rights`]).
//! 2. `ACL SETUSER name reset off` creates a user that nobody can log in as; one `-rule` after another
//!    shows which of the rules name something that this Redis has.
//! 3. One `ACL SETUSER`, which is atomic, sets the password and the rights.
//! 4. Each refused command is checked without running it ([`Probe`]). If a command would run, the guard
//!    is not used.
//!
//! Only this process knows the secret: Redis gets its SHA-256 digest, and the secret itself only to log
//! in. Where no guard can be created, the configured user is checked in the same way.

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
pub use renamed::renamed;
pub use rights::Rights;
pub use stale::{MAX_REMOVED, connected_users, guards_in, remove, stale};
pub use user::{Guard, GuardGroup, made_at};
