//! What the pages say of the source code holds: examples of changes fit it, and the files named on a
//! request's way exist.

use std::collections::BTreeSet;

use support::pages::text;
use support::root;

#[test]
fn examples_of_changes_fit_the_code() {
    let page = text("CONTRIBUTING.md");
    let mut lines = 0;
    for patch in page.split("```diff\n").skip(1).filter_map(|after| after.split("```").next()) {
        let mut file = String::new();
        for line in patch.lines() {
            if let Some(path) = line.strip_prefix("--- a/") {
                file = text(path);
            } else if let Some(place) = line.strip_prefix("@@ ") {
                assert!(file.contains(place), "no place {place:?}");
            } else if let Some(old) = line.strip_prefix('-') {
                assert!(file.lines().any(|line| line == old), "no line {old:?}");
                lines += 1;
            }
        }
    }
    assert!(lines >= 2, "{lines} lines are few");
}

#[test]
fn a_plain_request_passes_the_files_that_the_design_lists() {
    let page = text("docs/design.md");
    let (_, walk) = page.split_once("\n## One GET, there and back\n").expect("its heading");
    let (walk, after) = walk.split_once("\nThat is ").expect("their number");
    let count: usize = after.split(' ').next().unwrap().parse().unwrap();
    let named = walk.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs"));
    let named: BTreeSet<_> = named.collect();
    for name in &named {
        let places = ["src", "core/src"].map(|crate_root| root().join(crate_root).join(name));
        assert!(places.iter().any(|place| place.is_file()), "no file {name}");
    }
    assert_eq!(named.len(), count, "{named:?}");
    assert!(count <= 18, "a request passes {count} files");
}
