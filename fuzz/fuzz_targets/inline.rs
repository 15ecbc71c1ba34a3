//! `cargo fuzz run inline`: lines of inline requests, against Redis's own rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_fuzz_checks::inline::check(data));
