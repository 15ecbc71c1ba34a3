//! Replays the corpora of the fuzz targets whose checks are in tests/fuzz_checks.

use std::fs;
use std::path::Path;

use redoubt_fuzz_checks::{acl, configuration, inline, policy, session};

fn replay(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&dir).expect("the corpus is a part of the repository") {
        let path = entry.expect("a readable corpus").path();
        let input = fs::read(&path).expect("a readable input");
        let checked = std::panic::catch_unwind(|| check(&input));
        assert!(checked.is_ok(), "{} does not hold", path.display());
        inputs += 1;
    }
    assert!(inputs >= 10, "{} holds only {inputs} inputs", dir.display());
}

#[test]
fn the_acl_fuzz_corpus_passes() {
    replay("acl", acl::check);
}

#[test]
fn the_configuration_fuzz_corpus_passes() {
    replay("configuration", configuration::check);
}

#[test]
fn the_inline_fuzz_corpus_passes() {
    replay("inline", inline::check);
}

#[test]
fn the_policy_fuzz_corpus_passes() {
    replay("policy", policy::check);
}

#[test]
fn the_session_fuzz_corpus_passes() {
    replay("session", session::check);
}
