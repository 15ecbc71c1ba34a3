//! Redoubt, an authenticating, command-filtering proxy for Redis: the program around [`redoubt_core`].
//!
//! It owns sockets, timers, signals, logs and metrics, and passes their events to the core.
//! [`config`] reads the settings from a file and the environment.

pub mod accept;
pub(crate) mod admin;
pub mod audit;
pub mod config;
pub mod control;
pub mod grants;
mod health;
mod insight;
mod learn;
mod net;
pub mod reload;
pub mod status;
pub mod telemetry;
pub mod tls;
mod worker;
