//! `cargo fuzz run session`: clients, the router and a model of Redis.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_fuzz_checks::session::check(data));
