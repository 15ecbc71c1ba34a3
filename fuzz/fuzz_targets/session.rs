//! `cargo fuzz run session`: clients, the exchange and a model of Redis.
#![no_main]

#[path = "../checks/session.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::check(data));
