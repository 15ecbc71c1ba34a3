//! What Redoubt decides, without any I/O: it parses, decides, queues and orders, from bytes and a `now`
//! that are handed to it, and gives its effects back as values. The program around it has the sockets,
//! timers, signals, logs and metrics.
//!
//! ```text
//! client bytes ─► resp::RequestParser ─► session ──► local reply (NOAUTH, unknown command, +OK …)
//!                                          │ policy, command table
//!                                          ├──► shared link ─► Redis
//!                                          └──► lease ───────► Redis
//! client ◄── replies in order ◄── resp::ReplyScanner ◄── link
//! ```
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

pub mod auth;
pub mod command;
mod ids;
pub mod observe;
pub mod policy;
pub mod resp;
pub mod router;
pub mod session;
pub mod upstream;
