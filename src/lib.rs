//! Redoubt, an authenticating, command-filtering proxy for Redis.
//!
//! The library has two halves. The core is sans-IO: it parses, decides, queues and orders, from
//! bytes and a `now` handed to it, and gives its effects back as values. The shell owns sockets,
//! timers, signals and logs.
//!
//! ```text
//! client bytes ─► resp::RequestParser ─► Session ──► local reply (NOAUTH, unknown command, +OK …)
//!                                          │ policy, effect table
//!                                          ├──► shared link ─► Redis
//!                                          └──► lease ───────► Redis
//! client ◄── in-order reply queue ◄── resp::ReplyScanner ◄── link
//! ```
//!
//! Core: [`resp`], [`command`], [`policy`], [`auth`], [`session`], [`upstream`] and [`exchange`].
//! Shell: [`net`], [`telemetry`], [`audit`], [`reload`], [`tls`], `admin`. [`config`] turns a file and the environment into settings.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod command;
pub mod config;
pub mod exchange;
pub mod net;
pub mod policy;
pub mod reload;
pub mod resp;
pub mod session;
pub mod telemetry;
pub mod tls;
pub mod upstream;
