//! Links: authenticated connections to the upstream Redis.
//!
//! Owns: logging a link in, its write buffer and its state, and the [`guard`] that links log in as.
//! Leaves to [`crate::router`]: which session uses a link; to the program: the socket.
//!
//! Invariants: no request of a session is sent before the link is logged in; no `Debug` output contains
//! the password.

pub mod below_prefix;
mod credentials;
mod databases;
mod dialect;
mod functions;
pub mod guard;
mod link;
mod login;

pub use credentials::{Credentials, LinkCredentials};
pub use databases::Databases;
pub use dialect::Dialect;
pub use functions::{FunctionList, ListError};
pub(crate) use link::refusal;
pub use link::{Link, Phase};
pub use login::{Greeting, Login, LoginError, Role};
