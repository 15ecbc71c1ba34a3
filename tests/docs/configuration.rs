//! `config/redoubt.toml` and `docs/configuration.md` are generated from the declarations of the keys,
//! so that the three cannot differ.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use redoubt::config::{Field, Key, Reload, Settings, TABLES, fields};

const FILE: &str = "config/redoubt.toml";
const PAGE: &str = "docs/configuration.md";
/// Most characters of a line.
const WIDTH: usize = 100;

const HEAD: &str = "\
Redoubt's configuration. Every key stands here with its default; a key that starts with \"# \" has no
default and shows an example. Unknown keys stop the start.

  redoubt check --config config/redoubt.toml    says whether it is right, and what is in effect
  redoubt serve --config config/redoubt.toml    runs it

The environment wins over this file:
";
const TAIL: &str = "
After SIGHUP, or a POST to /reload of the admin port, Redoubt reads this file and the files that it
names again. What has changed is put in force without closing sessions. A key that needs a restart
keeps its value, and is named in the log.

A duration is a whole number and a unit: ms, s, m, h or d; at most 365d. A size is a whole number and
a unit of 1024: b, kb, mb or gb.
";

/// Returns the text about the file as a whole.
fn head() -> String {
    let mut head = HEAD.to_owned();
    for key in keys() {
        if let Some(variable) = key.variable {
            let _ = writeln!(head, "  {variable:<30}  `{}`", key.name);
        }
    }
    head + TAIL
}

fn keys() -> impl Iterator<Item = &'static Key> {
    fields().iter().map(|field: &Field<Settings>| &field.key)
}

/// Returns the documentation of a key in lines of at most `width` characters. Paragraphs have an empty
/// line between them; items of a list begin with "- ".
fn wrapped(docs: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut indent = "";
    let mut is_new = true;
    for doc in docs.iter().map(|doc| doc.trim()) {
        if doc.is_empty() {
            lines.push(String::new());
            (indent, is_new) = ("", true);
            continue;
        }
        if doc.starts_with("- ") {
            (indent, is_new) = ("  ", true);
        }
        for word in doc.split(' ') {
            match lines.last_mut().filter(|_| !is_new) {
                Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                    let _ = write!(line, " {word}");
                }
                Some(_) => lines.push(format!("{indent}{word}")),
                None => lines.push(word.to_owned()),
            }
            is_new = false;
        }
    }
    lines
}

fn comment(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

/// Returns the line that sets a key, and whether its value is the default.
fn setting(key: &Key) -> (String, bool) {
    let value = key.default.as_ref().unwrap_or(&key.example);
    (format!("{} = {value}", key.short()), key.default.is_some())
}

fn file() -> String {
    let mut file = comment(head().lines().map(str::to_owned));
    for table in &TABLES {
        // There may be none of these tables, so each is shown as an example.
        let is_example = table.name.ends_with("NAME");
        let mark = if is_example { "# " } else { "" };
        if !table.name.is_empty() {
            let docs = comment(wrapped(&[table.docs], WIDTH - 2));
            let _ = write!(file, "\n{docs}{mark}[{}]\n", table.name);
        }
        for key in keys().filter(|key| key.table() == table.name) {
            let (line, is_default) = setting(key);
            let is_set = (is_default || key.required) && !is_example;
            let mark = if is_set { "" } else { "# " };
            let _ = write!(file, "\n{}{mark}{line}\n", comment(wrapped(key.docs, WIDTH - 2)));
        }
    }
    file
}

/// Escapes text for Markdown, which would interpret a placeholder such as <a> or a rule with a |.
fn prose(docs: &[&str]) -> String {
    wrapped(docs, 110).join("\n").replace('<', "\\<").replace('|', "\\|")
}

fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Made from the declarations by REDOUBT_BLESS=1 cargo test --test docs configuration -->\n\n\
         One file in TOML, given with `--config` or `REDOUBT_CONFIG`; without one, the environment is \
         enough. [config/redoubt.toml](../config/redoubt.toml) holds every key with its default.\n\n",
    );
    let _ = write!(page, "```text\n{}```\n", head());
    for table in &TABLES {
        match table.name {
            "" => page.push_str("\n## The top of the file\n"),
            name => {
                let _ = write!(page, "\n## `[{name}]`\n\n{}\n", prose(&[table.docs]));
            }
        }
        for key in keys().filter(|key| key.table() == table.name) {
            page.push_str(&section(key));
        }
    }
    page
}

fn section(key: &Key) -> String {
    let (line, is_default) = setting(key);
    let which = match (is_default, key.required) {
        (true, _) => "Default",
        (false, true) => "Required; for example",
        (false, false) => "Not set; for example",
    };
    let mut section = format!("\n### `{}`\n\n- {which}: `{line}`\n", key.name);
    if let Some(variable) = key.variable {
        let _ = writeln!(section, "- In the environment: `{variable}`");
    }
    section.push_str(match key.reload {
        Reload::Live => "- Changes with a [reload](reload.md)\n",
        Reload::Restart => "- Needs a restart\n",
    });
    section + "\n" + &prose(key.docs) + "\n"
}

#[track_caller]
fn is_made(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("REDOUBT_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{name} is not what the declarations make: \
         run REDOUBT_BLESS=1 cargo test --test docs configuration"
    );
}

#[test]
fn the_configuration_page_is_generated_from_the_declarations() {
    is_made(PAGE, &page());
}

#[test]
fn the_sample_file_is_generated_from_the_declarations() {
    is_made(FILE, &file());
}

#[test]
fn every_key_is_documented_by_sentences() {
    for key in keys() {
        let text = key.docs.concat();
        assert!(text.trim().ends_with('.') && text.len() > 20, "{}: {text}", key.name);
    }
}

#[test]
fn the_sample_file_has_every_key_once() {
    let file = file();
    for key in keys() {
        let (line, _) = setting(key);
        let count = file.lines().filter(|there| there.trim_start_matches("# ") == line).count();
        let expected = keys().filter(|other| setting(other).0 == line).count();
        assert_eq!(count, expected, "{line}");
    }
}
