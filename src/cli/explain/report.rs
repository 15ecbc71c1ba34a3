//! Prints the explanation as text and as JSON.

use serde_json::json;

use super::verdict::Verdict;
use crate::cli::paint::Paint;

pub(super) fn text(verdict: &Verdict) -> String {
    let paint = Paint::of_stdout();
    let name = verdict.command.map_or_else(|| "unknown to Redoubt".to_owned(), str::to_uppercase);
    let mark = match verdict.allowed {
        Some(true) => paint.green("✓ allowed"),
        Some(false) => paint.red("✗ refused"),
        None => paint.yellow("? not known"),
    };
    let mut lines = vec![format!("{mark}  {}", paint.bold(&name))];
    let mut line = |what: &str, value: &str| {
        lines.push(format!("  {} {value}", paint.dim(&format!("{what:<11}"))));
    };
    if let Some(identity) = &verdict.identity {
        line("identity", identity);
    }
    if let (Some(rule), Some(source)) = (&verdict.rule, &verdict.source) {
        line("rule", &format!("{rule} ({source})"));
    }
    line("why", &verdict.why);
    if let Some(key) = verdict.opened_by {
        line("opened by", key);
    }
    if let Some(reply) = &verdict.reply {
        line("reply", &reply.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\""));
    }
    line("connection", &verdict.connection);
    if let Some(keys) = &verdict.keys {
        line("keys", &format!("arguments {keys}"));
    }
    if let Some(scripts) = verdict.scripts {
        line("in scripts", scripts);
    }
    lines.join("\n")
}

/// Returns the explanation as JSON. The reply is escaped as in the text, since it need not be
/// UTF-8.
pub(super) fn json(verdict: &Verdict) -> String {
    let value = json!({
        "allowed": verdict.allowed,
        "identity": verdict.identity,
        "layer": verdict.layer,
        "command": verdict.command,
        "rule": verdict.rule,
        "source": verdict.source,
        "opened_by": verdict.opened_by,
        "why": verdict.why,
        "reply": verdict.reply.as_ref().map(|reply| reply.escape_ascii().to_string()),
        "connection": verdict.connection,
        "keys": verdict.keys,
        "in_scripts": verdict.scripts,
    });
    value.to_string()
}
