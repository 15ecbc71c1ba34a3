//! The admin port, over HTTP and with the program's own commands.

mod bounds;
mod health;
mod program;
mod refused;
mod reload;
mod routes;
mod sessions;
mod stats;
