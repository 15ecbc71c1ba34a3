//! docs/failures.md names only tests, metrics and alerts that exist.

use std::fs;
use std::path::Path;

/// Returns the words of `text` that have only characters of names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_./".contains(c))
}

#[test]
fn failures_page_names_only_existing_tests_metrics_and_alerts() {
    let page = fs::read_to_string("docs/failures.md").unwrap();
    let metrics = fs::read_to_string("docs/metrics.md").unwrap();
    let alerts = fs::read_to_string("config/prometheus/alerts.yml").unwrap();
    let mut named = Vec::new();
    for word in words(&page) {
        let folders = ["", "tests/faults/", "tests/operations/audit/"];
        if word.ends_with(".rs") {
            let is_there = |folder: &&str| Path::new(&format!("{folder}{word}")).is_file();
            assert!(folders.iter().any(is_there), "no {word}");
            named.push(word);
        } else if word.starts_with("redoubt_") {
            assert!(metrics.contains(&format!("| `{word}` |")), "no metric {word}");
        } else if word.starts_with("Redoubt") && word.len() > "Redoubt".len() {
            assert!(alerts.contains(&format!("- alert: {word}\n")), "no alert {word}");
        }
    }
    // The page names every test file, too.
    for file in fs::read_dir("tests/faults").unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            ["main.rs", "page.rs"].contains(&&*name) || named.contains(&name.as_str()),
            "{name} is not in the page"
        );
    }
}
