//! Properties that must hold for any input. The targets in `fuzz/` search for an input that violates
//! them, and `tests/security/fuzz_corpus.rs` replays the inputs in the corpus.

pub mod acl;
pub mod configuration;
pub mod inline;
pub mod policy;
pub mod session;
