//! What is in force: start, stop and reload; the passwords, the guard and the watch of the upstream.
//!
//! Owns: when rules, credentials and certificates change, and telling the workers. Leaves to
//! the workers: acting on it.

mod certificates;
mod container;
mod functions;
mod guard;
mod in_force;
mod limits;
mod pulse;
mod resettle;
mod rules;
mod secrets;
mod server;
mod watch;

pub use rules::{RulesError, rules};
pub use server::{ServeError, Server};
