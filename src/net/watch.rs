//! The watch of the upstream: one link of its own, open all the time, and the guard.
//!
//! With a guard, that link is logged in as it. So Redis closes it as soon as the guard is deleted,
//! and other processes see that the guard is in use.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ask::Conversation;
use super::guard::{GUARD, Maker, Outcome};
use super::health::Health;
use super::standing::{Login, Standing};
use super::upstream::UpstreamError;
use super::worker::{Order, WorkerHandle};
use crate::command::Version;
use crate::upstream::guard::{Guard, GuardError};
use crate::upstream::{Credentials, Greeting, LoginError};

/// Keeps one link open all the time, to know whether the upstream is there, which version it is, and
/// that it has the guard.
pub(super) struct Watch {
    pub(super) maker: Arc<Maker>,
    pub(super) configured: Credentials,
    pub(super) health: Arc<Health>,
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) shutdown: CancellationToken,
}

/// What has been settled last.
#[derive(Default)]
struct Settled {
    epoch: u64,
    outcome: Option<Outcome>,
}

impl Settled {
    fn guard(&self) -> Option<&Guard> {
        match &self.outcome {
            Some(Outcome::Guarded(guard)) => Some(guard),
            _ => None,
        }
    }
}

impl Watch {
    /// First wait after a failed try; doubled each time.
    const FIRST_WAIT: Duration = Duration::from_millis(100);
    /// Longest wait between tries.
    const LONGEST_WAIT: Duration = Duration::from_secs(5);
    /// A link that lasted less is a failed try, so that a guard that does not last is not made
    /// again and again without a pause.
    const LASTING: Duration = Duration::from_secs(1);
    /// How often it is looked again whether there is still no guard to be had.
    const AGAIN: Duration = Duration::from_secs(60);

    /// Watches until shutdown.
    ///
    /// # Errors
    /// A guard is required and the upstream does not let one be made. The shutdown has begun then.
    pub(super) async fn run(self) -> Result<(), GuardError> {
        tokio::select! {
            () = self.shutdown.cancelled() => Ok(()),
            error = self.watch() => {
                self.shutdown.cancel();
                Err(error)
            }
        }
    }

    async fn watch(&self) -> GuardError {
        let mut settled = Settled::default();
        let mut wait = Self::FIRST_WAIT;
        loop {
            match self.link(&mut settled).await {
                Ok((link, version)) => {
                    self.health.up(version);
                    if self.stay(link, &settled).await >= Self::LASTING {
                        wait = Self::FIRST_WAIT;
                        continue;
                    }
                }
                Err(UpstreamError::Guard(error @ GuardError::Refused(_))) => return error,
                Err(error) => {
                    self.health.down(&error);
                    if matches!(error, UpstreamError::Login(_)) {
                        self.tell(&Standing::Failed).await;
                    }
                }
            }
            // Jitter keeps many sidecars from knocking at the same moment. A client's own failed
            // try may cut a wait short, but not the shortest.
            sleep(jittered(Self::FIRST_WAIT)).await;
            tokio::select! {
                () = sleep(jittered(wait)) => {}
                () = self.health.suspected() => {}
            }
            wait = (wait * 2).min(Self::LONGEST_WAIT);
        }
    }

    /// Stays until the link ends or something is to be settled anew. Returns how long it was.
    async fn stay(&self, mut link: Conversation, settled: &Settled) -> Duration {
        let began = Instant::now();
        let again = async {
            match settled.outcome {
                Some(Outcome::Audited | Outcome::Unguarded { .. }) => sleep(Self::AGAIN).await,
                Some(Outcome::Guarded(_)) | None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = link.until_closed() => {
                debug!("the watch's link ended");
                // What comes back may be another Redis, which lets the configured user do more.
                if matches!(settled.outcome, Some(Outcome::Audited)) {
                    self.tell(&Standing::Unknown).await;
                }
            }
            () = self.health.guard_refused(settled.epoch) => debug!(target: GUARD, "guard refused"),
            () = again => {}
        }
        began.elapsed()
    }

    /// Opens the watch's link and settles how others log in.
    async fn link(
        &self,
        settled: &mut Settled,
    ) -> Result<(Conversation, Option<Version>), UpstreamError> {
        if let Some(guard) = settled.guard()
            && !self.health.is_guard_refused(settled.epoch)
        {
            match self.open(&guard.credentials()).await {
                Err(UpstreamError::Login(LoginError::WrongPassword)) => {
                    debug!(target: GUARD, "guard gone");
                }
                still_there => return still_there.map(|(link, told)| (link, told.version)),
            }
        }
        let (mut link, greeting) = self.open(&self.configured).await?;
        if self.maker.is_wanted() {
            let outcome = timeout(
                self.maker.target.timeout,
                self.maker.settle(&mut link, greeting.standalone),
            );
            let outcome = outcome.await.unwrap_or_else(|_| Err(self.maker.target.timed_out()))?;
            settled.epoch = settled.epoch.saturating_add(1);
            report(&outcome, settled.outcome.as_ref());
            self.tell(&Standing::Settled(Arc::new(self.login(&outcome, settled.epoch)))).await;
            settled.outcome = Some(outcome);
        }
        Ok((link, greeting.version))
    }

    async fn open(
        &self,
        credentials: &Credentials,
    ) -> Result<(Conversation, Greeting), UpstreamError> {
        let target = &self.maker.target;
        let opened = timeout(target.timeout, target.log_in(credentials)).await;
        let (stream, greeting) = opened.unwrap_or_else(|_| Err(target.timed_out()))?;
        for worker in &self.workers {
            worker.order(Order::UpstreamVersion(greeting.version)).await;
        }
        Ok((Conversation::new(stream), greeting))
    }

    fn login(&self, outcome: &Outcome, epoch: u64) -> Login {
        let guard = match outcome {
            Outcome::Guarded(guard) => Some(guard),
            Outcome::Audited | Outcome::Unguarded { .. } => None,
        };
        Login {
            epoch,
            credentials: guard.map_or_else(|| self.configured.clone(), Guard::credentials),
            guarded: guard.is_some(),
            scripts_refused: matches!(outcome, Outcome::Unguarded { .. }),
        }
    }

    async fn tell(&self, standing: &Standing) {
        for worker in &self.workers {
            worker.order(Order::Standing(standing.clone())).await;
        }
    }
}

/// One log line for what holds from now on, if that is new.
fn report(outcome: &Outcome, before: Option<&Outcome>) {
    match (outcome, before) {
        (Outcome::Guarded(guard), Some(Outcome::Guarded(_))) => {
            info!(target: GUARD, user = guard.name(), "guard renewed");
        }
        (Outcome::Guarded(guard), _) => info!(target: GUARD, user = guard.name(), "guard made"),
        (Outcome::Audited, Some(Outcome::Audited)) => {}
        (Outcome::Audited, _) => {
            info!(target: GUARD, "audited: the upstream user may not run what is refused");
        }
        (Outcome::Unguarded { open, .. }, Some(Outcome::Unguarded { open: known, .. }))
            if open == known => {}
        (Outcome::Unguarded { reason, open, advice }, _) => {
            let open = open.join(" ");
            warn!(
                target: GUARD, reason, open, advice,
                "no guard: scripts and functions are refused, since they could run what is blocked"
            );
        }
    }
}

/// Half of `wait` to all of it.
fn jittered(wait: Duration) -> Duration {
    let share = (super::server::random() % 1024) as u32;
    wait / 2 + wait / 2 * share / 1024
}
