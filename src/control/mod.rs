//! The control plane: start, stop and reload; the passwords, the guard and the watch of the
//! upstream.
//!
//! Owns: when rules, credentials and certificates change, and sending them to the workers. Leaves
//! to the workers: acting on them.

mod certificates;
mod container;
mod dry_run;
mod flush;
mod functions;
mod grants;
mod guard;
mod guard_change;
mod identities;
mod in_force;
mod kept_link;
mod learn;
mod limits;
mod parameters;
mod primary;
mod pulse;
mod rules;
mod secrets;
mod server;
mod watch;

pub use dry_run::{DryRun, dry_run};
pub use guard::{EffectiveRule, effective_rules};
pub use rules::{AskError, RulesError, ServerFacts, ask_upstream, rules};
pub use server::{ServeError, Server};
