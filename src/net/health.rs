//! Whether the upstream can be reached, and saying so once per change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::unserved::Unserved;
use super::upstream::UpstreamError;
use crate::command::Version;
use crate::telemetry::metrics;

/// How often refused links are spoken of while the upstream is up.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// What is known of the upstream; shared by all threads, touched only when links open or fail.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    suspected: Notify,
    /// Sessions that ended at once for want of it.
    pub(super) unserved: Unserved,
    /// The last epoch whose guard the upstream did not know any more.
    guard_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    up: Option<bool>,
    refusal_logged: Option<Instant>,
    draining: bool,
}

impl Health {
    pub(super) fn up(&self, version: Option<Version>) {
        if self.change(true) {
            match version {
                Some(version) => info!(%version, "upstream is available"),
                None => info!("upstream is available"),
            }
        }
    }

    pub(super) fn down(&self, reason: &UpstreamError) {
        if self.change(false) {
            error!(reason = %reason.chain(), "upstream is unavailable; clients are closed until it is back");
        }
    }

    /// A session's link failed. If the upstream is down the watch will say so; if it is up and
    /// refuses links, that is said here, now and then.
    pub(super) fn link_failed(&self, reason: &UpstreamError) {
        self.suspected.notify_one();
        if !matches!(reason, UpstreamError::Login(_)) {
            return;
        }
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: Instant| now.saturating_duration_since(at) < REFUSAL_INTERVAL;
        if state.up == Some(true) && !state.refusal_logged.is_some_and(recent) {
            state.refusal_logged = Some(now);
            warn!(reason = %reason.chain(), "upstream refuses links; their sessions are closed");
        }
    }

    /// Returns when a link has failed, so that the watch can look sooner.
    pub(super) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// A link was refused that logged in as the guard of this epoch.
    pub(super) fn refuse_guard(&self, epoch: u64) {
        self.guard_refused.fetch_max(epoch, Ordering::Relaxed);
        self.suspected.notify_one();
    }

    /// Whether that has happened to the guard of this epoch.
    pub(super) fn is_guard_refused(&self, epoch: u64) -> bool {
        epoch > 0 && self.guard_refused.load(Ordering::Relaxed) >= epoch
    }

    /// Returns when it has.
    pub(super) async fn guard_refused(&self, epoch: u64) {
        while !self.is_guard_refused(epoch) {
            self.suspected.notified().await;
        }
    }

    /// No new sessions are wanted from here on.
    pub(super) fn drain(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.draining = true;
        metrics::ready(false);
    }

    /// What keeps Redoubt from being ready, a line each; empty when it is ready. The watch's link
    /// counts as up only once the guard is settled too.
    pub(super) fn unready(&self) -> Vec<&'static str> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let upstream = (state.up != Some(true)).then_some("upstream: not authenticated");
        upstream.into_iter().chain(state.draining.then_some("draining")).collect()
    }

    fn change(&self, up: bool) -> bool {
        // The watch's link counts as up only once the guard is settled too.
        metrics::upstream_up(up);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        metrics::ready(up && !state.draining);
        state.up.replace(up) != Some(up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_while_the_upstream_is_up_and_it_does_not_drain() {
        let health = Health::default();
        assert_eq!(health.unready(), ["upstream: not authenticated"]);
        health.up(None);
        assert!(health.unready().is_empty());
        health.drain();
        assert_eq!(health.unready(), ["draining"]);
    }
}
