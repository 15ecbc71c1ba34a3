//! Metrics for Prometheus: the counts of workers, and events elsewhere.
//!
//! Owns: the metrics' names, the recorder and its text. Leaves to others: serving that text.
//!
//! Invariants: workers count in fields of their own and add the counts here a few times a second,
//! so no request needs a lock or an atomic. Label values come from Redoubt's tables and
//! configuration only, never from a client, so the number of series is bounded and none reveals a
//! secret. Without [`install`] all functions do nothing.

pub mod names;
mod worker;

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use redoubt_core::auth::ConnectionLimiter;
use redoubt_core::session::{CloseReason, Event, IdentityCounts};

pub use metrics_exporter_prometheus::BuildError as MetricsError;
pub(crate) use worker::Flush as WorkerMetrics;

/// Upper bounds of the histograms, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5,
    2.5, 10.0,
];

static RECORDER: OnceLock<(PrometheusHandle, Collector)> = OnceLock::new();

/// Starts recording. Called once, before anything is counted.
///
/// # Errors
/// A recorder was installed before.
pub fn install() -> Result<(), MetricsError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::DURATION.to_owned()), &BUCKETS)?
        .install_recorder()?;
    names::describe();
    let process = Collector::default();
    process.describe();
    gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
    // Counters start at zero, so that Prometheus notices the first increase.
    for name in [
        names::LOCKOUTS,
        names::SESSIONS_OPENED,
        names::UPSTREAM_LOSSES,
        names::UPSTREAM_FAILOVERS,
        names::LINKS_STALLED,
        names::MAINT_NOTIFICATIONS,
        names::LOG_LINES_DROPPED,
        names::AUDIT_EVENTS,
        names::AUDIT_DROPPED,
        names::AUDIT_WRITE_ERRORS,
    ] {
        counter!(name).absolute(0);
    }
    for outcome in ["ok", "failed"] {
        counter!(names::RELOADS, "outcome" => outcome).absolute(0);
        for side in ["client", "upstream"] {
            counter!(names::TLS_HANDSHAKES, "side" => side, "outcome" => outcome).absolute(0);
        }
        counter!(names::AUTHENTICATIONS, "outcome" => outcome).absolute(0);
        counter!(names::UPSTREAM_CONNECTS, "outcome" => outcome).absolute(0);
    }
    for outcome in ["served", "refused"] {
        counter!(names::UPSTREAM_HELD, "outcome" => outcome).absolute(0);
    }
    for reason in redoubt_core::auth::Refusal::ALL {
        counter!(names::CONNECTIONS_REFUSED, "reason" => reason.as_str()).absolute(0);
    }
    for reason in CloseReason::ALL {
        counter!(names::SESSIONS_CLOSED, "reason" => reason.as_str()).absolute(0);
    }
    upstream_up(false);
    ready(false);
    guard(GuardState::Unknown);
    let _ = RECORDER.set((handle, process));
    Ok(())
}

/// Returns whether anything is recorded.
fn is_on() -> bool {
    RECORDER.get().is_some()
}

/// Returns all metrics in Prometheus's text format; empty if nothing is recorded.
pub fn render() -> String {
    let Some((handle, process)) = RECORDER.get() else { return String::new() };
    process.collect();
    counter!(names::LOG_LINES_DROPPED).absolute(super::output::dropped_lines());
    handle.render()
}

/// Bounds what histograms keep between two requests for metrics. Called every few seconds.
pub fn upkeep() {
    if let Some((handle, _)) = RECORDER.get() {
        handle.run_upkeep();
    }
}

/// Counts an event of a session.
pub(crate) fn report(event: &Event) {
    match event {
        Event::Authenticated { .. } => {
            counter!(names::AUTHENTICATIONS, "outcome" => "ok").increment(1);
        }
        Event::AuthFailed { .. } => {
            counter!(names::AUTHENTICATIONS, "outcome" => "failed").increment(1);
        }
        Event::LockedOut { .. } => counter!(names::LOCKOUTS).increment(1),
        Event::Refused { refused, .. } => {
            counter!(names::REFUSALS, "rule" => refused.refusal.rule.to_string()).increment(1);
        }
        Event::Answered(_) => {}
        Event::Closed { reason, .. } => {
            counter!(names::SESSIONS_CLOSED, "reason" => reason.as_str()).increment(1);
        }
    }
}

/// Counts requests that the `acl` of an observed identity would refuse.
pub(crate) fn would_refuse(identity: &str, command: &str, count: u64) {
    counter!(names::WOULD_REFUSE, "identity" => identity.to_owned(), "command" => command.to_owned())
        .increment(count);
}

/// Counts a refused connection.
pub(crate) fn connection_refused(reason: redoubt_core::auth::Refusal) {
    counter!(names::CONNECTIONS_REFUSED, "reason" => reason.as_str()).increment(1);
}

/// Counts an opened session.
pub(crate) fn session_opened() {
    counter!(names::SESSIONS_OPENED).increment(1);
}

/// Sets whether Redoubt can log in to Redis.
pub(crate) fn upstream_up(up: bool) {
    gauge!(names::UPSTREAM_UP).set(f64::from(u8::from(up)));
}

/// Counts that Redis was reachable and now is not.
pub(crate) fn upstream_lost() {
    counter!(names::UPSTREAM_LOSSES).increment(1);
}

/// Sets when the certificate that the configuration key `key` names ends.
pub(crate) fn certificate(key: &'static str, ends: SystemTime) {
    let ends = ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(names::CERTIFICATE_EXPIRY, "key" => key).set(ends.as_secs_f64());
}

/// Sets whether Redoubt is ready for clients.
pub(crate) fn ready(ready: bool) {
    gauge!(names::READY).set(f64::from(u8::from(ready)));
}

/// Sets the gauges of the connection limiter, and the number of orders that wait for workers.
pub(crate) fn connections(limiter: &ConnectionLimiter, orders: usize, now: Instant) {
    if !is_on() {
        return;
    }
    let (throttled, locked_out) = limiter.throttled(now);
    gauge!(names::SESSIONS_UNAUTHENTICATED).set(limiter.unauthenticated() as f64);
    gauge!(names::UNAUTHENTICATED_MEMORY).set(limiter.unauthenticated_memory() as f64);
    gauge!(names::THROTTLED).set(throttled as f64);
    gauge!(names::LOCKED_OUT).set(locked_out as f64);
    gauge!(names::ORDERS_WAITING).set(orders as f64);
}

/// Sets what the sessions of the identity called `name` use and have used.
pub(crate) fn identity(name: &str, counts: &IdentityCounts) {
    if !is_on() {
        return;
    }
    let name = name.to_owned();
    gauge!(names::IDENTITY_SESSIONS, "identity" => name.clone()).set(counts.sessions as f64);
    gauge!(names::IDENTITY_LEASES, "identity" => name.clone()).set(counts.leases as f64);
    counter!(names::IDENTITY_COMMANDS, "identity" => name.clone()).absolute(counts.commands);
    for (limit, count) in [
        ("sessions", counts.refused_sessions),
        ("leases", counts.refused_leases),
        ("commands_per_second", counts.command_waits),
        ("bytes_per_second", counts.byte_waits),
    ] {
        counter!(names::IDENTITY_LIMITED, "identity" => name.clone(), "limit" => limit)
            .absolute(count);
    }
}

/// Counts a command that `rule` refused to `identity`.
pub(crate) fn refused_to(identity: &str, rule: String) {
    counter!(names::IDENTITY_REFUSALS, "identity" => identity.to_owned(), "rule" => rule)
        .increment(1);
}

/// Counts an attempt to open a link for a session.
pub(crate) fn upstream_connect(succeeded: bool) {
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::UPSTREAM_CONNECTS, "outcome" => outcome).increment(1);
}

/// Counts sessions whose requests waited for the upstream, and whether they were served in the end.
pub(crate) fn held(sessions: usize, served: bool) {
    if sessions > 0 {
        let outcome = if served { "served" } else { "refused" };
        counter!(names::UPSTREAM_HELD, "outcome" => outcome).increment(sessions as u64);
    }
}

/// Sets whether it is known which server is the primary.
pub(crate) fn primary(is_known: bool) {
    gauge!(names::UPSTREAM_PRIMARY).set(f64::from(u8::from(is_known)));
}

/// Sets whether links go to the server `node`.
pub(crate) fn node(node: String, is_used: bool) {
    gauge!(names::UPSTREAM_NODE, "node" => node).set(f64::from(u8::from(is_used)));
}

/// Counts that another server has become the primary.
pub(crate) fn failed_over() {
    counter!(names::UPSTREAM_FAILOVERS).increment(1);
}

/// Sets how many seconds have passed without a known primary, in total.
pub(crate) fn without_primary(seconds: u64) {
    counter!(names::UPSTREAM_WITHOUT_PRIMARY).absolute(seconds);
}

/// Sets how many links sessions may have open.
pub(crate) fn most_links(most: usize) {
    gauge!(names::LINKS_MAX).set(most as f64);
}

/// Sets how many bytes all sessions together may hold.
pub(crate) fn most_memory(most: u64) {
    gauge!(names::MEMORY_MAX).set(most as f64);
}

/// Counts a shared link that was closed because a reply was pending for too long.
pub(crate) fn link_stalled() {
    counter!(names::LINKS_STALLED).increment(1);
}

/// Counts a reload and its outcome.
pub(crate) fn reloaded(succeeded: bool) {
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::RELOADS, "outcome" => outcome).increment(1);
}

/// The peer of a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A client of a `tls://` listener.
    Client,
    /// The upstream.
    Upstream,
}

/// Counts a TLS handshake and its outcome.
pub(crate) fn tls_handshake(side: Side, succeeded: bool) {
    let side = match side {
        Side::Client => "client",
        Side::Upstream => "upstream",
    };
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::TLS_HANDSHAKES, "side" => side, "outcome" => outcome).increment(1);
}

/// How the policy is enforced for scripts on the upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GuardState {
    /// Redoubt has not found out yet.
    #[default]
    Unknown,
    /// Links log in as the guard.
    Guarded,
    /// Links log in as the configured user, who may not run refused commands, or whose rights were
    /// not checked.
    Configured,
    /// Links log in as the configured user, who may run refused commands: scripts are refused.
    Open,
}

impl GuardState {
    const ALL: [Self; 4] = [Self::Unknown, Self::Guarded, Self::Configured, Self::Open];

    /// Returns the value of the metric's label, which is stable.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Guarded => "guarded",
            Self::Configured => "configured",
            Self::Open => "open",
        }
    }
}

/// Sets how links log in from now on.
pub(crate) fn guard(state: GuardState) {
    for one in GuardState::ALL {
        let value = f64::from(u8::from(one == state));
        gauge!(names::GUARD_STATE, "state" => one.as_str()).set(value);
    }
}
