//! Passwords that change while Redoubt runs, on both sides.

mod client;
mod files;
mod load;
mod upstream;
