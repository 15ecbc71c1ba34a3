//! Prints the checks as text and as JSON.

use redoubt::config::Node;
use serde_json::{Value, json};

use super::outcome::{Check, Findings, Outcome};
use crate::cli::paint::Paint;

/// Returns a line for each check, under the titles of their sections, and a summary.
pub(crate) fn text(findings: &Findings) -> String {
    let paint = Paint::of_stdout();
    let width = findings.checks().map(|check| check.what.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for section in &findings.0 {
        lines.push(paint.bold(section.title));
        for Check { outcome, what, found, .. } in &section.checks {
            let mark = match outcome {
                Outcome::Holds => paint.green("✓ holds  "),
                Outcome::Fails => paint.red("✗ fails  "),
                Outcome::Warns => paint.yellow("! warning"),
                Outcome::NotChecked => paint.dim("– skipped"),
            };
            let found = if *outcome == Outcome::Fails { found.clone() } else { paint.dim(found) };
            lines.push(format!("  {mark}  {what:<width$}  {found}"));
        }
        lines.push(String::new());
    }
    lines.push(summary(findings, paint));
    lines.join("\n")
}

fn summary(findings: &Findings, paint: Paint) -> String {
    let counts = [
        (Outcome::Holds, "hold"),
        (Outcome::Fails, "fail"),
        (Outcome::Warns, if findings.count(Outcome::Warns) == 1 { "warning" } else { "warnings" }),
        (Outcome::NotChecked, "skipped"),
    ];
    let counts = counts.map(|(outcome, word)| format!("{} {word}", findings.count(outcome)));
    let counts = counts.join(", ");
    if findings.hold() {
        paint.green(&counts)
    } else if findings.wide_open() {
        paint.red(&format!(
            "{counts}\nWide open: every client that can connect can read and delete everything"
        ))
    } else {
        paint.red(&counts)
    }
}

pub(super) fn json(node: &Node, findings: &Findings) -> String {
    let one = |check: &Check| -> Value {
        let outcome = match check.outcome {
            Outcome::Holds => "holds",
            Outcome::Fails => "fails",
            Outcome::Warns => "warns",
            Outcome::NotChecked => "not_checked",
        };
        json!({ "id": check.id, "outcome": outcome, "what": check.what, "found": check.found })
    };
    json!({
        "address": node.to_string(),
        "holds": findings.hold(),
        "wide_open": findings.wide_open(),
        "checks": findings.checks().map(one).collect::<Vec<_>>(),
    })
    .to_string()
}
