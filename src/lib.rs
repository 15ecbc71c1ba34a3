//! Redoubt, an authenticating, command-filtering proxy for Redis: the program around [`redoubt_core`].
//!
//! It owns sockets, timers, signals, logs and metrics, and hands what happens to the core.
//! [`config`] turns a file and the environment into settings.

pub mod admin;
pub mod audit;
pub mod config;
pub mod net;
pub mod reload;
pub mod telemetry;
pub mod tls;
