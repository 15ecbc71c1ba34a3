//! `cargo fuzz run acl`: the rules of an identity, and an ACL file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redoubt_fuzz_checks::acl::check(data));
