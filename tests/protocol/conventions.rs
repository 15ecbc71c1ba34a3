//! A rule about the sources that neither Cargo nor Clippy can check.

use std::fs;
use std::path::Path;

/// Redis compares words with strcasecmp, which stops at a NUL: `BLOCK\0x` is `BLOCK` to it. A session
/// that compared whole words would misunderstand such a request.
#[test]
fn sessions_compare_words_as_redis_does() {
    let session = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src/session");
    let mut folders = vec![session];
    let mut wrong = Vec::new();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Redis finds the parameters of CONFIG in a dictionary, by their whole names.
                folders.extend(Some(path).filter(|path| !path.ends_with("session/compat")));
                continue;
            }
            read += 1;
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            wrong.extend(
                lines
                    .filter(|line| line.contains("ignore_ascii_case"))
                    .map(|line| format!("{}: {line}", path.display())),
            );
        }
    }
    assert!(read > 20, "only {read} files were read");
    assert!(wrong.is_empty(), "use resp::is_word:\n{}", wrong.join("\n"));
}
