//! Replays the fuzz corpora of the parser and the scanner.

use std::fs;
use std::path::Path;

use redoubt_core::resp::fuzz;

fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&dir).expect("the corpus is a part of the repository") {
        let path = entry.expect("a readable corpus").path();
        run(&fs::read(&path).expect("a readable input"));
        inputs += 1;
    }
    assert!(inputs >= 10, "{} holds only {inputs} inputs", dir.display());
}

#[test]
fn the_request_fuzz_corpus_passes() {
    replay("request", fuzz::request);
}

#[test]
fn the_reply_fuzz_corpus_passes() {
    replay("reply", fuzz::reply);
}
