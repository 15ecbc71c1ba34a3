//! The admin port, over HTTP and with the program's own commands.

#[path = "admin/bounds.rs"]
mod bounds;
#[path = "admin/health.rs"]
mod health;
#[path = "admin/program.rs"]
mod program;
#[path = "admin/reload.rs"]
mod reload;
#[path = "admin/routes.rs"]
mod routes;
#[path = "admin/sessions.rs"]
mod sessions;
#[path = "admin/stats.rs"]
mod stats;
