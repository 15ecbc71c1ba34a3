//! `redoubt stats`.

use redoubt::status::{ProcessStats, Stats, UpstreamStats};

use super::table::{count, duration};
use crate::cli::paint::Paint;

/// Width of what a line is about.
const LABEL: usize = 12;

/// Everything in a line each.
pub(super) fn text(told: &Stats, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // What comes from elsewhere must not move the cursor.
        let value: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        text += &format!("{} {value}\n", paint.bold(&format!("{label:<LABEL$}")));
    };
    let workers = if told.workers == 1 { "worker" } else { "workers" };
    line(
        "Redoubt",
        &format!(
            "{}, up {}, {} {workers}, {}",
            told.version,
            duration(told.uptime_seconds),
            told.workers,
            if told.unready.is_empty() { "ready".to_owned() } else { told.unready.join("; ") },
        ),
    );
    for worker in &told.unanswered {
        line("", &format!("worker-{worker} does not answer: its share is missing"));
    }
    line("Redis", &upstream(&told.upstream));
    line("guard", &guard(&told.upstream));
    let sessions = &told.sessions;
    line(
        "sessions",
        &format!(
            "{} open, {} of them unauthenticated, peak {}, {} in all",
            sessions.open,
            sessions.unauthenticated,
            sessions.peak,
            count(sessions.opened)
        ),
    );
    let links = &told.links;
    line(
        "links",
        &format!(
            "{} shared, {} leased, {} pooled, {} opening",
            links.shared, links.leased, links.pooled, links.opening
        ),
    );
    line(
        "commands",
        &format!("{}, {} refused", count(told.commands.total), count(told.commands.refused)),
    );
    for refused in &told.commands.refused_by {
        line("", &format!("{:>6}  {}", count(refused.count), refused.rule));
    }
    let logins = &told.logins;
    line(
        "logins",
        &format!(
            "{} succeeded, {} failed, {} addresses locked out",
            count(logins.succeeded),
            count(logins.failed),
            count(logins.locked_out)
        ),
    );
    let refused: Vec<_> =
        told.connections_refused.iter().filter(|(_, count)| **count > 0).collect();
    line("turned away", &count(refused.iter().map(|(_, count)| **count).sum()));
    for (reason, number) in refused {
        line("", &format!("{:>6}  {reason}", count(*number)));
    }
    line("traffic", &format!("{}B in, {}B out", count(told.bytes_in), count(told.bytes_out)));
    line(
        "reloads",
        &format!("{} succeeded, {} failed", told.reloads.succeeded, told.reloads.failed),
    );
    line("process", &process(&told.process));
    text
}

fn upstream(told: &UpstreamStats) -> String {
    let version = told.version.as_deref().unwrap_or("of unknown version");
    let state = if told.up { "up" } else { "not available" };
    let since = told.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    format!("{} at {}, {state}{since}", version, told.address)
}

fn guard(told: &UpstreamStats) -> String {
    let name = told.guard_user.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    format!("{}{name}; scripts that run: {}", told.guard, told.scripts)
}

fn process(told: &ProcessStats) -> String {
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    format!(
        "{} of memory, {} of processor time, {} of {} files",
        or_unknown(told.memory_bytes.map(|bytes| count(bytes) + "B")),
        or_unknown(told.cpu_seconds.map(|seconds| format!("{seconds:.1}s"))),
        or_unknown(told.open_files.map(|files| files.to_string())),
        or_unknown(told.max_files.map(|files| files.to_string())),
    )
}
