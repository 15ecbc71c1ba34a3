//! `cargo fuzz run request`: bytes that a client may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_core::resp::fuzz::request(data));
