//! What must hold of any input. The targets in `fuzz/` look for an input that breaks it, and
//! `tests/security/fuzz_corpus.rs` replays those that are kept.

pub mod configuration;
pub mod inline;
pub mod policy;
pub mod session;
