//! `redoubt stats`: prints the statistics of a running proxy.

use redoubt::status::{IdentityStats, ProcessStats, Stats, UpstreamStats};

use super::table::{count, duration};
use crate::cli::paint::Paint;

/// Width of the labels, in columns.
const LABEL: usize = 12;

/// Returns the statistics, a line for each subject.
pub(super) fn text(stats: &Stats, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Text from elsewhere must not hold control characters, which could move the cursor.
        let value: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        text += &format!("{} {value}\n", paint.bold(&format!("{label:<LABEL$}")));
    };
    let workers = if stats.workers == 1 { "worker" } else { "workers" };
    line(
        "Redoubt",
        &format!(
            "{}, up {}, {} {workers}, {}",
            stats.version,
            duration(stats.uptime_seconds),
            stats.workers,
            if stats.unready.is_empty() { "ready".to_owned() } else { stats.unready.join("; ") },
        ),
    );
    for worker in &stats.unanswered {
        line("", &format!("worker-{worker} did not answer: its numbers are missing"));
    }
    line("Redis", &upstream(&stats.upstream));
    line("guard", &guard(&stats.upstream));
    let sessions = &stats.sessions;
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
    let links = &stats.links;
    line(
        "links",
        &format!(
            "{} shared, {} leased, {} pooled, {} opening",
            links.shared, links.leased, links.pooled, links.opening
        ),
    );
    line(
        "commands",
        &format!("{}, {} refused", count(stats.commands.total), count(stats.commands.refused)),
    );
    for refused in &stats.commands.refused_by {
        line("", &format!("{:>6}  {}", count(refused.count), refused.rule));
    }
    for (place, (name, identity)) in stats.identities.iter().enumerate() {
        line(if place == 0 { "identities" } else { "" }, &self::identity(name, identity));
    }
    let logins = &stats.logins;
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
        stats.connections_refused.iter().filter(|(_, count)| **count > 0).collect();
    line(
        "rejected",
        &format!("{} connections", count(refused.iter().map(|(_, count)| **count).sum())),
    );
    for (reason, number) in refused {
        line("", &format!("{:>6}  {reason}", count(*number)));
    }
    line("traffic", &format!("{}B in, {}B out", count(stats.bytes_in), count(stats.bytes_out)));
    line(
        "reloads",
        &format!("{} succeeded, {} failed", stats.reloads.succeeded, stats.reloads.failed),
    );
    line("process", &process(&stats.process));
    text
}

fn identity(name: &str, stats: &IdentityStats) -> String {
    let IdentityStats { sessions, leases, .. } = stats;
    let mut text = format!(
        "{name}: {sessions} sessions, {leases} leases, {} commands, {} refused",
        count(stats.commands),
        count(stats.refused),
    );
    for (number, what) in [
        (stats.refused_sessions, "sessions over the limit"),
        (stats.refused_leases, "leases over the limit"),
        (stats.waits, "waits for a rate"),
    ] {
        if number > 0 {
            text += &format!(", {} {what}", count(number));
        }
    }
    text
}

fn upstream(stats: &UpstreamStats) -> String {
    let version = stats.version.as_deref().unwrap_or("of unknown version");
    let state = if stats.up { "up" } else { "not available" };
    let since = stats.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    let failovers = match stats.failovers {
        0 => String::new(),
        1 => ", 1 failover".to_owned(),
        more => format!(", {more} failovers"),
    };
    let missing = if stats.node.is_none() { "; no primary is known" } else { "" };
    format!("{} at {}, {state}{since}{failovers}{missing}", version, stats.address)
}

fn guard(stats: &UpstreamStats) -> String {
    let name = stats.guard_user.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    format!("{}{name}; scripts that run: {}", stats.guard, stats.scripts)
}

fn process(stats: &ProcessStats) -> String {
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    format!(
        "{} of memory, {} of processor time, {} of {} files",
        or_unknown(stats.memory_bytes.map(|bytes| count(bytes) + "B")),
        or_unknown(stats.cpu_seconds.map(|seconds| format!("{seconds:.1}s"))),
        or_unknown(stats.open_files.map(|files| files.to_string())),
        or_unknown(stats.max_files.map(|files| files.to_string())),
    )
}
