//! `cargo fuzz run configuration`: the text of a configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_fuzz_checks::configuration::check(data));
