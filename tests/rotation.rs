//! Passwords that change while Redoubt runs, on both sides.

#[path = "rotation/client.rs"]
mod client;
#[path = "rotation/files.rs"]
mod files;
#[path = "rotation/load.rs"]
mod load;
#[path = "rotation/upstream.rs"]
mod upstream;
