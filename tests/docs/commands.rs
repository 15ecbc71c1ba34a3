//! The commands of the pages work as written.
//!
//! The line above each block of commands or of a program has a mark:
//!
//! - `<!-- run: NAME -->`: a test runs it. This module runs all blocks that no other test claims: those
//!   of a page in order, in one shell and one directory, in a network of its own. A comment at the end
//!   of a line is a line that the output must have, with `…` for any text.
//! - `<!-- run: NAME, explained -->`: the same, but the comments only explain.
//! - `<!-- platform: WHAT -->`: the block needs something that a test does not have, one of
//!   [`PLATFORMS`].
//!
//! Lines after `run: NAME` and before `-->` run before the block and are not shown.

mod blocks;
mod rust;
mod shell;
use blocks::{Block, Mark, blocks};
use support::pages::{pages, text};
use support::root;

/// Things that blocks may need and a test does not have.
const PLATFORMS: [&str; 8] = [
    "Docker",
    "Go",
    "Java",
    "Kubernetes",
    "a clone of this repository",
    "a deployment of yours",
    "an image registry",
    "systemd",
];

/// Tests that run blocks of their own, by page.
const OTHERS: [(&str, &str); 3] = [
    ("docs/deploy/docker.md", "tests/deploy/image/pages.rs"),
    ("docs/deploy/systemd.md", "tests/deploy/image/pages.rs"),
    ("docs/deploy/kubernetes.md", "tests/deploy/namespaces/page.rs"),
];

/// Returns the other test that runs blocks of a page.
fn other(page: &str) -> Option<&'static str> {
    OTHERS.iter().find(|(of, _)| *of == page).map(|(_, test)| *test)
}

#[test]
fn every_command_block_has_a_mark() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in blocks(&text(&page)) {
            match &block.mark {
                None => wrong.push(format!("{page}:{}: a block without a mark", block.line)),
                Some(Mark::Platform(what)) if !PLATFORMS.contains(&what.as_str()) => {
                    wrong.push(format!("{page}:{}: {what} is not in PLATFORMS", block.line));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks that the test names the block that is marked for it or, on Kubernetes, runs all blocks
/// without `# cluster`.
#[test]
fn tests_run_the_blocks_that_are_marked_for_them() {
    for (page, test) in OTHERS {
        let test = text(test);
        assert!(test.contains(page), "{page}");
        for block in blocks(&text(page)) {
            let runs = if page.ends_with("kubernetes.md") {
                !block.text.starts_with("# cluster\n")
            } else {
                matches!(&block.mark, Some(Mark::Run { name, .. }) if test.contains(&format!("\"{name}\"")))
            };
            let says = matches!(block.mark, Some(Mark::Run { .. }));
            assert_eq!(says, runs, "{page}:{}", block.line);
        }
    }
}

#[test]
fn commands_of_the_pages_give_the_documented_output() {
    let pages: Vec<_> = pages().into_iter().filter(|page| other(page).is_none()).collect();
    // Each page runs on a thread of its own, because much of the time is waiting for programs to start.
    let wrong: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = pages.iter().map(|page| scope.spawn(|| run(page))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a page").err()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Runs the blocks of a page.
fn run(page: &str) -> Result<(), String> {
    let is_run =
        |block: &Block| matches!(block.mark, Some(Mark::Run { .. })) && block.language != "rust";
    let blocks: Vec<_> = blocks(&text(page)).into_iter().filter(is_run).collect();
    if blocks.is_empty() {
        return Ok(());
    }
    shell::run(&blocks).map_err(|error| format!("{page}:{error}"))
}

#[test]
fn marks_of_blocks_are_parsed() {
    let page = "\
<!-- run: one -->
```sh
a b # c
```

```python
d
```
text
  <!-- platform: Go -->
  ```go
    e
  ```
<!-- run: two, explained
f
g
-->
```bash
h # i
```
```text
j
```
";
    let run = |name: &str, explained, before: &str| {
        Some(Mark::Run { name: name.to_owned(), explained, before: before.to_owned() })
    };
    let block = |line, language: &str, text: &str, mark| {
        let (language, text) = (language.to_owned(), text.to_owned());
        Block { line, language, text, mark }
    };
    let is = [
        block(2, "sh", "a b # c\n", run("one", false, "")),
        block(6, "python", "d\n", None),
        block(11, "go", "  e\n", Some(Mark::Platform("Go".to_owned()))),
        block(18, "bash", "h # i\n", run("two", true, "f\ng\n")),
    ];
    assert_eq!(blocks(page), is);
    assert_eq!(is[0].expected(), ["c"]);
    assert!(is[3].expected().is_empty());
}

#[test]
fn expected_output_lines_are_found_in_order() {
    let misses = |expected: &[&str], output: &str| {
        blocks::missing(&expected.iter().map(|&line| line.to_owned()).collect::<Vec<_>>(), output)
    };
    assert_eq!(misses(&["PONG"], "log\nPONG\n"), None);
    assert_eq!(misses(&["PONG"], "PONGO\n"), Some("PONG".to_owned()));
    assert_eq!(misses(&["PONG", "OK"], "OK\nPONG\n"), Some("OK".to_owned()));
    assert_eq!(misses(&["ERR 'x', …"], "ERR 'x', with: \n"), None);
    assert_eq!(misses(&["…0 fail…"], "3 hold, 1 fail\n"), Some("…0 fail…".to_owned()));
}
