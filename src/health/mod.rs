//! Tracks whether the upstream can be reached, and logs each change once.

pub(crate) mod answers;
pub(crate) mod identities;
pub(crate) mod link_limit;
mod primary;
pub(crate) mod unserved;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::audit;
use crate::config::wall_clock;
use crate::health::answers::Pulse;
use crate::health::link_limit::LinkLimit;
use crate::health::primary::Primary;
use crate::health::unserved::Unserved;
use crate::net::upstream_error::{SocketProblem, UpstreamError};
use crate::status::{ReloadStats, UpstreamStats};
use crate::telemetry::metrics::{self, GuardState};
use redoubt_core::command::Version;
use redoubt_core::upstream::LoginError;

/// Shortest time between two log lines about refused links while the upstream is up.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// What is known about the upstream; shared by all threads, locked only when links open or fail.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    suspected: Notify,
    /// Notified when clients get `READONLY` errors, so that the upstream may have become a replica.
    role_suspected: Notify,
    /// How many links sessions may have.
    pub(crate) links: LinkLimit,
    /// When the upstream has answered.
    pub(crate) pulse: Pulse,
    /// Sessions that ended at once because the upstream is unavailable.
    pub(crate) unserved: Unserved,
    /// The last login epoch whose guard the upstream rejected.
    guard_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    up: Option<bool>,
    /// `true` if the upstream answers, but has no time: it loads its data, or runs a script.
    busy: bool,
    /// Why its Unix socket cannot be connected to, if that was the last reason.
    socket_problem: Option<SocketProblem>,
    /// `true` once it has been logged in this outage that the upstream rejects the login.
    rejection_logged: bool,
    /// `true` if the watch's last link logged in, so that only the guard can be missing.
    logged_in: bool,
    /// The server that is the primary, and the one before.
    primary: Primary,
    /// When the upstream was lost; `None` while it is up.
    lost_at: Option<Instant>,
    /// When the upstream came up or went down, and the version that it reported last.
    since: Option<SystemTime>,
    version: Option<Version>,
    /// How links log in, and the name of the guard.
    guard: (GuardState, Option<String>),
    reloads: ReloadStats,
    refusal_logged: Option<Instant>,
    draining: bool,
}

impl Health {
    pub(crate) fn up(&self, version: Option<Version>) {
        self.state().version = version;
        if self.change(true) {
            match version {
                Some(version) => info!(%version, "upstream is available"),
                None => info!("upstream is available"),
            }
        }
    }

    /// Notes whether the watch's link has logged in; the provisioning of the guard follows.
    pub(crate) fn logged_in(&self, is_logged_in: bool) {
        self.state().logged_in = is_logged_in;
    }

    /// Notes that the upstream cannot be used. Logs the first reason of an outage, and a rejected login also
    /// if it is a later one, since the operator has to correct that.
    pub(crate) fn down(&self, reason: &UpstreamError) {
        let busy = match reason {
            UpstreamError::Login(error) => matches!(error, LoginError::NotNow(_)),
            UpstreamError::Guard(error) => error.passing().is_some(),
            _ => false,
        };
        {
            let mut state = self.state();
            (state.busy, state.socket_problem) = (busy, reason.socket_problem());
        }
        let is_rejected = matches!(reason, UpstreamError::Login(error) if !matches!(error, LoginError::NotNow(_)));
        let is_new = self.change(false);
        let was_logged = {
            let mut state = self.state();
            let before = state.rejection_logged && !is_new;
            state.rejection_logged = before || is_rejected;
            before
        };
        if is_new || (is_rejected && !was_logged) {
            error!(reason = %reason.chain(), "upstream is unavailable; sessions that need it are closed until it is back");
        }
    }

    /// Returns whether the upstream is known to be unusable, and not only busy.
    pub(crate) fn is_down(&self) -> bool {
        let state = self.state();
        state.up == Some(false) && !state.busy
    }

    /// Notes which server is the primary; `None` if that is not known.
    pub(crate) fn primary(&self, node: Option<String>) {
        self.state().primary.change(node, Instant::now());
    }

    /// Returns until when requests wait for an upstream that can be used, if they may wait for `timeout` from when it
    /// was lost.
    pub(crate) fn holds_until(&self, timeout: Duration) -> Instant {
        self.state().lost_at.unwrap_or_else(Instant::now) + timeout
    }

    /// Notes that a session's link failed. If the upstream is down, the watch logs that; if it is
    /// up and refuses links, this function logs it at intervals.
    pub(crate) fn link_failed(&self, reason: &UpstreamError) {
        self.suspected.notify_one();
        if !matches!(reason, UpstreamError::Login(_) | UpstreamError::Tls { .. }) {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        let recent = |at: Instant| now.saturating_duration_since(at) < REFUSAL_INTERVAL;
        if state.up == Some(true) && !state.refusal_logged.is_some_and(recent) {
            state.refusal_logged = Some(now);
            warn!(reason = %reason.chain(), "upstream refuses links; their sessions are closed");
        }
    }

    /// Notes that a link waits for its login to be known.
    pub(crate) fn link_waits(&self) {
        self.suspected.notify_one();
    }

    /// Notes that clients got `READONLY`, so that the upstream may be a replica.
    pub(crate) fn suspect_role(&self) {
        self.role_suspected.notify_one();
    }

    /// Returns when clients have got `READONLY`.
    pub(crate) async fn role_suspected(&self) {
        self.role_suspected.notified().await;
    }

    /// Returns when a link has failed, so that the watch can try earlier.
    pub(crate) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Notes that a link which logged in as the guard of this epoch was refused.
    pub(crate) fn refuse_guard(&self, epoch: u64) {
        self.guard_refused.fetch_max(epoch, Ordering::Relaxed);
        self.suspected.notify_one();
    }

    /// Returns whether the guard of this epoch was refused.
    pub(crate) fn is_guard_refused(&self, epoch: u64) -> bool {
        epoch > 0 && self.guard_refused.load(Ordering::Relaxed) >= epoch
    }

    /// Returns when the guard of this epoch has been refused.
    pub(crate) async fn guard_refused(&self, epoch: u64) {
        while !self.is_guard_refused(epoch) {
            self.suspected.notified().await;
        }
    }

    /// Notes that Redoubt is stopping, so that it is not ready any more.
    pub(crate) fn drain(&self) {
        self.state().draining = true;
        self.measure();
    }

    /// Returns the reasons why Redoubt is not ready, a line for each; empty if it is ready.
    pub(crate) fn unready(&self) -> Vec<&'static str> {
        let state = self.state();
        let mut reasons = Vec::new();
        match state.up {
            Some(true) => {}
            _ if state.primary.is_missing() => reasons.push("upstream: no primary"),
            _ if state.logged_in => reasons.push("guard: not ready"),
            _ => reasons.push(match state.socket_problem {
                Some(problem) => problem.unready(),
                None => "upstream: not authenticated",
            }),
        }
        if *audit::full().borrow() {
            reasons.push("audit: clients wait for the audit log");
        }
        if state.draining {
            reasons.push("draining");
        }
        reasons
    }

    /// Returns whether Redoubt is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Sets how links log in from now on, and the name of the guard if there is one.
    pub(crate) fn guard(&self, state: GuardState, name: Option<String>) {
        self.state().guard = (state, name);
    }

    /// Returns what is known about the upstream, without its address and its scripts.
    pub(crate) fn upstream(&self) -> UpstreamStats {
        let state = self.state();
        UpstreamStats {
            up: state.up == Some(true),
            since: state.since.map(|since| humantime::format_rfc3339_seconds(since).to_string()),
            version: state.version.map(|version| version.to_string()),
            guard: state.guard.0.as_str().to_owned(),
            guard_user: state.guard.1.clone(),
            node: state.primary.node().map(str::to_owned),
            failovers: state.primary.failovers(),
            without_primary_seconds: state.primary.without(Instant::now()).as_secs(),
            ..UpstreamStats::default()
        }
    }

    /// Counts a reload and its outcome.
    pub(crate) fn reloaded(&self, succeeded: bool) {
        let reloads = &mut self.state().reloads;
        let count = if succeeded { &mut reloads.succeeded } else { &mut reloads.failed };
        *count = count.saturating_add(1);
    }

    /// Returns the counts of reloads.
    pub(crate) fn reloads(&self) -> ReloadStats {
        self.state().reloads
    }

    /// Shows as a metric whether Redoubt is ready.
    pub(crate) fn measure(&self) {
        metrics::ready(self.unready().is_empty());
        metrics::without_primary(self.state().primary.without(Instant::now()).as_secs());
        self.links.measure();
    }

    fn change(&self, up: bool) -> bool {
        // The watch's link counts as up only when the provisioning of the guard is over.
        metrics::upstream_up(up);
        let is_new = {
            let mut state = self.state();
            let before = state.up.replace(up);
            if before == Some(true) && !up {
                metrics::upstream_lost();
            }
            let is_new = before != Some(up);
            state.lost_at = if up { None } else { state.lost_at.or_else(|| Some(Instant::now())) };
            if is_new {
                state.since = Some(wall_clock());
            }
            is_new
        };
        self.measure();
        is_new
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_while_the_upstream_is_up_and_no_stop_has_begun() {
        let health = Health::default();
        assert_eq!(health.unready(), ["upstream: not authenticated"]);
        health.logged_in(true);
        assert_eq!(health.unready(), ["guard: not ready"]);
        health.up(None);
        assert!(health.unready().is_empty());
        health.drain();
        assert_eq!(health.unready(), ["draining"]);
    }
}
