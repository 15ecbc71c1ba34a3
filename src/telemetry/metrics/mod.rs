//! Metrics: what workers have counted and what happens elsewhere, for Prometheus.
//!
//! Owns: the names, the recorder and its text. Leaves to others: serving that text.
//!
//! Invariants: workers count in plain fields of their own and come here a few times a second, so no
//! request costs a lock or an atomic; labels take their values from Redoubt's tables and its
//! configuration alone, never from a client, so there are only so many series and none tells a
//! secret. Without [`install`] all of it does nothing.

pub mod names;
mod worker;

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use redoubt_core::auth::ConnectionLimiter;
use redoubt_core::session::{CloseReason, Event};

pub use metrics_exporter_prometheus::BuildError as MetricsError;
pub(crate) use worker::Flush as WorkerMetrics;

/// Upper bounds of the histograms, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5,
    2.5, 10.0,
];

static RECORDER: OnceLock<(PrometheusHandle, Collector)> = OnceLock::new();

/// Begins to record. To be called once, before anything is counted.
///
/// # Errors
/// There is a recorder already.
pub fn install() -> Result<(), MetricsError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::DURATION.to_owned()), &BUCKETS)?
        .install_recorder()?;
    names::describe();
    let process = Collector::default();
    process.describe();
    gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
    // At zero from the start, so that the first of each is seen to be one more.
    for name in [
        names::LOCKOUTS,
        names::SESSIONS_OPENED,
        names::UPSTREAM_LOSSES,
        names::LINKS_STALLED,
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

/// All metrics in Prometheus's text format; empty when nothing is recorded.
pub fn render() -> String {
    let Some((handle, process)) = RECORDER.get() else { return String::new() };
    process.collect();
    counter!(names::LOG_LINES_DROPPED).absolute(super::output::dropped_lines());
    handle.render()
}

/// Bounds what histograms keep while nobody asks for them. To be called every few seconds.
pub fn upkeep() {
    if let Some((handle, _)) = RECORDER.get() {
        handle.run_upkeep();
    }
}

/// Counts what has happened to a session.
pub(crate) fn report(event: &Event) {
    match event {
        Event::Authenticated { .. } => {
            counter!(names::AUTHENTICATIONS, "outcome" => "ok").increment(1);
        }
        Event::AuthFailed { .. } => {
            counter!(names::AUTHENTICATIONS, "outcome" => "failed").increment(1);
        }
        Event::LockedOut { .. } => counter!(names::LOCKOUTS).increment(1),
        Event::Refused { rule, .. } => {
            counter!(names::REFUSALS, "rule" => rule.to_string()).increment(1);
        }
        Event::Closed { reason, .. } => {
            counter!(names::SESSIONS_CLOSED, "reason" => reason.as_str()).increment(1);
        }
    }
}

/// A connection has been refused.
pub(crate) fn connection_refused(reason: redoubt_core::auth::Refusal) {
    counter!(names::CONNECTIONS_REFUSED, "reason" => reason.as_str()).increment(1);
}

/// A session has been opened.
pub(crate) fn session_opened() {
    counter!(names::SESSIONS_OPENED).increment(1);
}

/// Whether Redis lets Redoubt in.
pub(crate) fn upstream_up(up: bool) {
    gauge!(names::UPSTREAM_UP).set(f64::from(u8::from(up)));
}

/// Redis has been there, and now it is not.
pub(crate) fn upstream_lost() {
    counter!(names::UPSTREAM_LOSSES).increment(1);
}

/// The certificate that this key of the configuration names is in use, and ends then.
pub(crate) fn certificate(key: &'static str, ends: SystemTime) {
    let ends = ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(names::CERTIFICATE_EXPIRY, "key" => key).set(ends.as_secs_f64());
}

/// Whether clients are well served here.
pub(crate) fn ready(ready: bool) {
    gauge!(names::READY).set(f64::from(u8::from(ready)));
}

/// What the connection limiter holds now, and how many orders wait for workers.
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

/// A link has been opened for a session, or could not be.
pub(crate) fn upstream_connect(succeeded: bool) {
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::UPSTREAM_CONNECTS, "outcome" => outcome).increment(1);
}

/// How many links sessions may have open.
pub(crate) fn most_links(most: usize) {
    gauge!(names::LINKS_MAX).set(most as f64);
}

/// How many bytes sessions may hold together.
pub(crate) fn most_memory(most: u64) {
    gauge!(names::MEMORY_MAX).set(most as f64);
}

/// A shared link owed a reply for too long and was closed.
pub(crate) fn link_stalled() {
    counter!(names::LINKS_STALLED).increment(1);
}

/// A reload has been done, or could not be.
pub(crate) fn reloaded(succeeded: bool) {
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::RELOADS, "outcome" => outcome).increment(1);
}

/// With whom hands were shaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A client of a `tls://` listener.
    Client,
    /// The upstream.
    Upstream,
}

/// A TLS handshake has ended.
pub(crate) fn tls_handshake(side: Side, succeeded: bool) {
    let side = match side {
        Side::Client => "client",
        Side::Upstream => "upstream",
    };
    let outcome = if succeeded { "ok" } else { "failed" };
    counter!(names::TLS_HANDSHAKES, "side" => side, "outcome" => outcome).increment(1);
}

/// What holds scripts to the policy on the upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GuardState {
    /// It is not known.
    #[default]
    Unknown,
    /// Links log in as a guard.
    Guarded,
    /// They log in as the configured user, who may not run what is refused, or nobody asked.
    Configured,
    /// They log in as the configured user, who may: scripts are refused.
    Open,
}

impl GuardState {
    const ALL: [Self; 4] = [Self::Unknown, Self::Guarded, Self::Configured, Self::Open];

    /// A stable word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Guarded => "guarded",
            Self::Configured => "configured",
            Self::Open => "open",
        }
    }
}

/// How links log in from now on.
pub(crate) fn guard(state: GuardState) {
    for one in GuardState::ALL {
        let value = f64::from(u8::from(one == state));
        gauge!(names::GUARD_STATE, "state" => one.as_str()).set(value);
    }
}
