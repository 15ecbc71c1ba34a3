//! `redoubt learn`: prints the smallest rule for what an identity has done, as lines to paste.

use redoubt::status::{Learned, NeededWord};

use super::table::{count, duration, unanswered};
use crate::cli::paint::Paint;

/// Returns the rule as lines of the configuration, each word with its count and when it was last used.
pub(super) fn text(answer: &Learned, paint: Paint) -> String {
    let mut text = String::new();
    let mut note = |line: &str| text.push_str(&(paint.dim(&format!("# {line}")) + "\n"));
    let since = answer.since_seconds.map(|since| format!(", of the last {}", duration(since)));
    note(&format!(
        "{}: {} combinations since {}{}",
        shown(&answer.identity),
        answer.combinations,
        answer.began,
        since.unwrap_or_default()
    ));
    if answer.words.is_empty() {
        note("Nothing was recorded: see learn.record, and mode = \"observe\" of the identity.");
        text += &unanswered(&answer.unanswered, "requests", paint);
        return text;
    }
    text += "acl = [\n";
    let base = answer.acl.iter().take(answer.acl.len().saturating_sub(answer.words.len()));
    let base: Vec<_> = base.map(|word| quoted(word)).collect();
    text += &format!("  {},\n", base.join(", "));
    let width = answer.words.iter().map(|word| quoted(&word.word).chars().count()).max();
    for word in &answer.words {
        text += &line(word, width.unwrap_or(0), paint);
    }
    text += "]\n";
    let databases = answer.databases.iter().map(|database| database.number.to_string());
    text += &format!("databases = [{}]\n", databases.collect::<Vec<_>>().join(", "));
    let mut note = |line: &str| text.push_str(&(paint.dim(&format!("# {line}")) + "\n"));
    for own in &answer.notes {
        note(&format!("{}: {}", shown(&own.commands.join(", ")), own.text));
    }
    if answer.words.iter().any(|word| word.named_in_script) {
        note(
            "(script): named in the text of a script; keys that scripts make up are not in the rule",
        );
    }
    if answer.not_counted > 0 {
        note(&format!("{} requests were not recorded: too many combinations", answer.not_counted));
    }
    if let Some(check) = &answer.check {
        note(&format!("ACL DRYRUN: the rule allows {} combinations", check.allowed));
        for refused in &check.refused {
            text += &(paint.red(&format!("# it refuses {}", shown(refused))) + "\n");
        }
        for unknown in &check.unknown {
            text += &(paint.dim(&format!("# not checked: {}", shown(unknown))) + "\n");
        }
    }
    if let Some(reason) = &answer.not_checked {
        text += &(paint.red(&format!("# ACL DRYRUN: not checked: {}", shown(reason))) + "\n");
    }
    match answer.unused.as_deref() {
        None => {}
        Some([]) => text += &(paint.dim("# present acl: every word was used") + "\n"),
        Some(unused) => {
            let words: Vec<_> = unused.iter().map(|word| quoted(word)).collect();
            text +=
                &(paint.dim(&format!("# present acl, never used: {}", words.join(", "))) + "\n");
        }
    }
    text += &unanswered(&answer.unanswered, "last requests", paint);
    text
}

fn line(word: &NeededWord, width: usize, paint: Paint) -> String {
    let script = if word.named_in_script { " (script)" } else { "" };
    let comment =
        format!("# {:>6}, {} ago{script}", count(word.count), duration(word.last_seconds));
    let text = quoted(&word.word) + ",";
    format!("  {text:<width$}  {}\n", paint.dim(&comment), width = width + 1)
}

/// Returns a string of TOML.
fn quoted(word: &str) -> String {
    format!("\"{}\"", shown(word).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns text from elsewhere without control characters, which could move the cursor.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
