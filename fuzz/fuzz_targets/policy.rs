//! `cargo fuzz run policy`: names of commands, against the rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_fuzz_checks::policy::check(data));
