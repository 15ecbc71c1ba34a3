//! `docs/configuration.md` is made from `config/redoubt.toml`, so that the two cannot differ.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use redoubt::reload::RESTART;

const FILE: &str = include_str!("../../config/redoubt.toml");
const PAGE: &str = "docs/configuration.md";

/// Keys that stand together under one comment.
#[derive(Default)]
struct Group {
    comment: Vec<String>,
    /// The full name, what it is set to, and whether that is its default.
    keys: Vec<(String, String, bool)>,
}

/// A `key = value` of the file, commented or not.
fn setting(line: &str) -> Option<(&str, &str, bool)> {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let (name, value) = bare.split_once(" = ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some((name, value, bare == line))
}

/// A line of a comment as Markdown: what is written as in the file is shown as such.
fn prose(comment: &[String]) -> String {
    let mut text = String::new();
    for line in comment {
        if line.starts_with("  ") {
            let gap = if text.ends_with("    ") { "" } else { "\n" };
            let _ = writeln!(text, "{gap}   {line}");
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    // A placeholder such as <a> or a rule with a | would be taken for Markdown's own.
    text.replace('<', "\\<").replace('|', "\\|")
}

fn page() -> String {
    let (head, rest) = FILE.split_once("\n\n").expect("a comment on the whole file");
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Made from config/redoubt.toml by REDOUBT_BLESS=1 cargo test --test docs configuration -->\n\n\
         One file in TOML, given with `--config` or `REDOUBT_CONFIG`; without one, the environment is \
         enough. [config/redoubt.toml](../config/redoubt.toml) holds every key with its default.\n\n",
    );
    let _ =
        writeln!(page, "```text\n{}\n```\n\n## The top of the file\n", unmarked(head).join("\n"));
    let mut section = String::new();
    for block in rest.split("\n\n") {
        let mut group = Group::default();
        for line in block.lines() {
            if let Some((name, value, is_default)) = setting(line) {
                group.keys.push((format!("{section}{name}"), value.to_owned(), is_default));
            } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = format!("{name}.");
                let _ = writeln!(page, "## `[{name}]`\n\n{}", prose(&group.comment));
                group = Group::default();
            } else {
                group.comment.extend(unmarked(line));
            }
        }
        page.push_str(&group.section());
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn unmarked(comment: &str) -> Vec<String> {
    let lines = comment.lines().map(|line| line.trim_start_matches('#'));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect()
}

impl Group {
    fn section(&self) -> String {
        if self.keys.is_empty() {
            return String::new();
        }
        let names: Vec<_> = self.keys.iter().map(|(name, ..)| format!("`{name}`")).collect();
        let mut text = format!("### {}\n\n", names.join(", "));
        for (name, value, is_default) in &self.keys {
            let which = if *is_default { "Default" } else { "Not set; for example" };
            let name = name.rsplit('.').next().unwrap_or(name);
            let _ = writeln!(text, "- {which}: `{name} = {value}`");
        }
        let _ = writeln!(text, "- {}", self.effect());
        let prose = prose(&self.comment);
        if !prose.is_empty() {
            let _ = write!(text, "\n{prose}");
        }
        text.push('\n');
        text
    }

    /// When a change of these keys counts.
    fn effect(&self) -> &'static str {
        let needs_restart =
            |(name, ..): &&(String, _, _)| RESTART.iter().any(|restart| restart.name == name);
        match self.keys.iter().filter(needs_restart).count() {
            0 => "Changes with a [reload](reload.md)",
            all if all == self.keys.len() => "Needs a restart",
            _ => panic!("{:?} stand together and change differently", self.keys),
        }
    }
}

#[test]
fn the_page_is_made_from_the_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("REDOUBT_BLESS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page(),
        "{PAGE} is not what config/redoubt.toml makes: \
         run REDOUBT_BLESS=1 cargo test --test docs configuration"
    );
}

#[test]
fn every_key_is_on_the_page_and_documented() {
    let page = page();
    let keys = FILE.lines().filter(|line| setting(line).is_some()).count();
    let listed = page.lines().filter(|line| line.starts_with("- Default: `")).count();
    let examples =
        page.lines().filter(|line| line.starts_with("- Not set; for example: `")).count();
    assert_eq!(listed + examples, keys);
    for part in page.split("\n### ").skip(1) {
        let (names, text) = part.split_once("\n\n").unwrap();
        let says = text.split("\n## ").next().unwrap();
        let says = says.lines().any(|line| !line.starts_with("- ") && !line.is_empty());
        // A section of one key says it itself.
        assert!(says || names == "`metrics.enabled`", "{names} has no documentation");
    }
}
