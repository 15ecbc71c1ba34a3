//! `cargo fuzz run inline`: lines of inline requests, against Redis's own rules.
#![no_main]

#[path = "../checks/inline.rs"]
mod inline;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inline::check(data));
