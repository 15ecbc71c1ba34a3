//! `cargo fuzz run reply`: bytes that Redis may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_core::resp::fuzz::reply(data));
