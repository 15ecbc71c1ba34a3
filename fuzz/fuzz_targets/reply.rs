//! `cargo fuzz run reply`: what Redis may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt::resp::fuzz::reply(data));
