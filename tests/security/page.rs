//! SECURITY.md names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the names of all tests: functions behind `#[test]`, and themes of `in_every_mode`.
fn tests(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut expected = false;
    for line in text.lines().map(str::trim) {
        if let Some(theme) = line.strip_prefix("super::in_every_mode!(") {
            found.extend(theme.strip_suffix(");"));
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            expected = true;
        } else if expected && !line.starts_with('#') {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            found.extend(name.and_then(|name| name.split('(').next()));
            expected = false;
        }
    }
    found
}

/// Returns the texts in backticks that have the form of a test's name.
fn named(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.contains('_')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    };
    quoted.filter(is_name).collect()
}

#[test]
fn security_page_names_only_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut text = String::new();
    sources(&root.join("tests"), &mut text);
    sources(&root.join("src"), &mut text);
    sources(&root.join("core/src"), &mut text);
    let tests = tests(&text);
    // A key of the configuration looks like a test's name too, if its table is left out.
    let configuration = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let headings = configuration.lines().filter_map(|line| line.strip_prefix("### `"));
    let keys: BTreeSet<_> = headings
        .filter_map(|key| key.strip_suffix('`'))
        .map(|key| key.rsplit('.').next().unwrap())
        .collect();
    let is_key = |name: &str| keys.contains(name);
    let named = named(&page);
    let missing: Vec<_> =
        named.iter().filter(|name| !tests.contains(*name) && !is_key(name)).collect();
    assert!(missing.is_empty(), "SECURITY.md names what is no test: {missing:?}");
    assert!(named.len() >= 30, "SECURITY.md names only {} tests", named.len());
}

#[test]
fn the_search_for_test_names_finds_only_tests() {
    let text = "#[test]\n#[ignore]\nfn one() {}\nfn none() {}\nsuper::in_every_mode!(two);\n";
    assert_eq!(tests(text).into_iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(named("`a_b` and `a-b`, `AB`, c_d, `e_f`"), ["a_b", "e_f"]);
}
