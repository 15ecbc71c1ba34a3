//! The checks as text and as JSON.

use redoubt::config::Endpoint;
use serde_json::{Value, json};

use super::outcome::{Check, Outcome};
use crate::paint::Paint;

pub(super) fn text(endpoint: &Endpoint, checks: &[Check]) -> String {
    let paint = Paint::of_stdout();
    let width = checks.iter().map(|check| check.what.chars().count()).max().unwrap_or_default();
    let mut lines = vec![paint.bold(&endpoint.to_string())];
    for Check { outcome, what, found, .. } in checks {
        let mark = match outcome {
            Outcome::Holds => paint.green("✓ holds  "),
            Outcome::Fails => paint.red("✗ fails  "),
            Outcome::Warns => paint.bold("! warning"),
            Outcome::NotChecked => paint.dim("– skipped"),
        };
        lines.push(format!("  {mark}  {what:<width$}  {}", paint.dim(found)));
    }
    let count = |wanted| checks.iter().filter(|check| check.outcome == wanted).count();
    let summary = format!(
        "{} hold, {} fail, {} warnings, {} skipped",
        count(Outcome::Holds),
        count(Outcome::Fails),
        count(Outcome::Warns),
        count(Outcome::NotChecked)
    );
    lines.push(if count(Outcome::Fails) == 0 {
        paint.green(&summary)
    } else {
        paint.red(&summary)
    });
    lines.join("\n")
}

pub(super) fn json(endpoint: &Endpoint, checks: &[Check]) -> String {
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
        "address": endpoint.to_string(),
        "holds": !checks.iter().any(Check::fails),
        "checks": checks.iter().map(one).collect::<Vec<_>>(),
    })
    .to_string()
}
