//! The watch of the upstream: one link of its own, open all the time, and the guard.
//!
//! With a guard, that link is logged in as it. So Redis closes it as soon as the guard is deleted,
//! and other processes see that the guard is in use.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::audit;
use crate::control::guard::{GUARD, GuardProvisioner, Outcome};
use crate::control::in_force::{Composer, Finding};
use crate::health::Health;
use crate::net::conversation::Conversation;
use crate::net::keepalive::{give_up_after, watch_dead_after};
use crate::net::upstream::UpstreamError;
use crate::worker::handle::WorkerHandle;
use crate::worker::link_login::{Login, Way};
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::{Guard, GuardError};
use redoubt_core::upstream::{Credentials, Greeting, LoginError};

/// Keeps one link open all the time, to know whether the upstream is there, which version it is, and
/// that it has the guard.
pub(crate) struct Watch {
    pub(crate) maker: Arc<GuardProvisioner>,
    pub(crate) health: Arc<Health>,
    pub(crate) composer: Arc<Composer>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) shutdown: CancellationToken,
    /// What has been settled last. Whoever holds it alone says how links log in.
    pub(crate) settled: Mutex<Settled>,
    /// Has it looked again at once, as something has been settled elsewhere or is to be.
    pub(crate) again: Notify,
}

/// What has been settled last.
pub(crate) struct Settled {
    pub(crate) epoch: u64,
    pub(crate) outcome: Option<Outcome>,
    /// What it was settled for.
    pub(crate) policy: Policy,
    /// Tells when it was settled with other configured credentials than those of now.
    pub(crate) configured: watch::Receiver<Credentials>,
    /// Whether it has not been put in force yet.
    pub(crate) is_changed: bool,
    /// Whether nothing of it holds any more, for the policy is another.
    pub(crate) is_stale: bool,
}

impl Settled {
    /// Nothing, for this policy.
    pub(crate) fn nothing(policy: Policy, configured: watch::Receiver<Credentials>) -> Self {
        Self { epoch: 0, outcome: None, policy, configured, is_changed: false, is_stale: false }
    }

    /// How links log in, where the operator has configured `configured`.
    pub(crate) fn finding(&self, configured: Credentials) -> Finding {
        let login = Login {
            epoch: self.epoch,
            credentials: self.guard().map_or(configured, Guard::credentials),
            way: match self.outcome {
                Some(Outcome::Guarded(_)) => Way::Guard,
                Some(Outcome::Audited) | None => Way::Configured,
                Some(Outcome::Unguarded { .. }) => Way::Open,
            },
        };
        let has_renamed =
            matches!(self.outcome, Some(Outcome::Unguarded { has_renamed: true, .. }));
        Finding::Settled { login: Arc::new(login), has_renamed }
    }

    pub(crate) fn guard(&self) -> Option<&Guard> {
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
    pub(crate) async fn run(self: Arc<Self>) -> Result<(), GuardError> {
        tokio::select! {
            // After the shutdown has begun, the state of the upstream is not logged any more.
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            error = self.watch() => {
                self.shutdown.cancel();
                Err(error)
            }
        }
    }

    async fn watch(&self) -> GuardError {
        let mut wait = Self::FIRST_WAIT;
        loop {
            match self.link().await {
                Ok((link, greeting)) => {
                    self.health.up(greeting.version);
                    if self.stay(link, greeting).await >= Self::LASTING {
                        wait = Self::FIRST_WAIT;
                        continue;
                    }
                }
                Err(UpstreamError::Guard(error @ GuardError::Refused(_))) => return error,
                Err(error) => {
                    self.health.down(&error);
                    if let Some(finding) = not_found_out(&error) {
                        let _alone = self.settled.lock().await;
                        self.put_in_force(finding).await;
                    }
                }
            }
            // Jitter keeps many sidecars from knocking at the same moment. A client's own failed
            // try may cut a wait short, but not the shortest.
            sleep(jittered(Self::FIRST_WAIT)).await;
            tokio::select! {
                () = sleep(jittered(wait)) => {}
                () = self.health.suspected() => {}
                () = self.again.notified() => {}
            }
            wait = (wait * 2).min(Self::LONGEST_WAIT);
        }
    }

    /// Stays until the link ends or something is to be settled anew. Returns how long it was.
    async fn stay(&self, mut link: Conversation, greeting: Greeting) -> Duration {
        let began = Instant::now();
        let (is_audited, is_open, is_guarded, epoch, mut configured) = {
            let settled = self.settled.lock().await;
            let is_audited = matches!(settled.outcome, Some(Outcome::Audited));
            let is_open = is_audited || matches!(settled.outcome, Some(Outcome::Unguarded { .. }));
            let is_guarded = settled.guard().is_some();
            (is_audited, is_open, is_guarded, settled.epoch, settled.configured.clone())
        };
        tokio::select! {
            news = self.pulse(&mut link, greeting) => {
                // What comes back may be another Redis, which lets the configured user do more.
                if is_audited {
                    let _alone = self.settled.lock().await;
                    self.put_in_force(Finding::Unknown).await;
                }
                // Only then, as what comes of it may lead there.
                if let Some(news) = news {
                    self.tell_links(news).await;
                }
            }
            () = self.health.guard_refused(epoch) => debug!(target: GUARD, "guard refused"),
            // The guard was made with other ones, and stays what it is.
            Ok(()) = configured.changed(), if !is_guarded => {}
            () = self.again.notified() => {}
            () = sleep(Self::AGAIN), if is_open => {}
        }
        began.elapsed()
    }

    /// Opens the watch's link and settles how others log in.
    async fn link(&self) -> Result<(Conversation, Greeting), UpstreamError> {
        let settled = &mut *self.settled.lock().await;
        if !settled.is_stale
            && let Some(guard) = settled.guard()
            && !self.health.is_guard_refused(settled.epoch)
        {
            match self.open(&guard.credentials()).await {
                Err(UpstreamError::Login(LoginError::WrongPassword)) => {
                    debug!(target: GUARD, "guard gone");
                }
                still_there => return still_there,
            }
        }
        settled.is_changed |= settled.configured.has_changed().unwrap_or(false);
        let configured = settled.configured.borrow_and_update().clone();
        let (mut link, greeting) = self.open(&configured).await?;
        if settled.is_stale
            && let Some(guard) = settled.guard()
        {
            // What is left of its connections may run what is refused now.
            self.maker.remove(&mut link, guard.name()).await;
        }
        let policy = self.where_it_goes(&mut link, &settled.policy).await?;
        if self.maker.is_wanted(&policy) {
            let user = configured.user.as_deref();
            let outcome = self.settle(&mut link, greeting, user, &policy).await?;
            report(&outcome, settled.outcome.as_ref());
            settled.outcome = Some(outcome);
            settled.is_changed = true;
        } else {
            settled.is_changed |= settled.is_stale || settled.outcome.take().is_some();
        }
        settled.is_stale = false;
        if settled.is_changed {
            settled.epoch = settled.epoch.saturating_add(1);
            self.put_in_force(settled.finding(configured)).await;
            settled.is_changed = false;
        }
        Ok((link, greeting))
    }

    /// Returns what of `policy` is to be held on the upstream behind `link`, which is logged in as the
    /// configured user. Whether payloads are checked there is put in force.
    pub(crate) async fn where_it_goes(
        &self,
        link: &mut Conversation,
        policy: &Policy,
    ) -> Result<Policy, UpstreamError> {
        let target = self.maker.target();
        let checks = timeout(target.timeout, self.maker.checks_payloads(link)).await;
        let checks = checks.unwrap_or_else(|_| Err(target.timed_out()))?;
        self.composer.take_payload_check(checks).await;
        Ok(if checks { policy.where_payloads_are_checked() } else { policy.clone() })
    }

    /// As [`GuardProvisioner::settle`], within the time that a link may take.
    pub(crate) async fn settle(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        user: Option<&str>,
        policy: &Policy,
    ) -> Result<Outcome, UpstreamError> {
        let target = self.maker.target();
        let outcome = self.maker.settle(link, greeting, user, policy);
        let outcome = timeout(target.timeout, outcome).await;
        outcome.unwrap_or_else(|_| Err(target.timed_out()))
    }

    /// Opens a link that is logged in with `credentials`, within that time.
    pub(crate) async fn open(
        &self,
        credentials: &Credentials,
    ) -> Result<(Conversation, Greeting), UpstreamError> {
        let target = self.maker.target();
        let opened = timeout(target.timeout, target.log_in(credentials)).await;
        let opened = opened.unwrap_or_else(|_| Err(target.timed_out()));
        self.health.logged_in(opened.is_ok());
        let (link, greeting) = opened?;
        give_up_after(link.stream(), watch_dead_after(target.dead_after));
        self.composer.take_version(greeting.version).await;
        Ok((link, greeting))
    }

    async fn put_in_force(&self, finding: Finding) {
        finding.show(&self.health);
        self.composer.take_finding(finding).await;
    }
}

/// Returns what becomes of the links that wait to be told how to log in, when that could not be found out; `None`
/// if they wait on.
fn not_found_out(error: &UpstreamError) -> Option<Finding> {
    match error {
        UpstreamError::Guard(error) => error.passing().map(Finding::Busy),
        UpstreamError::Login(_) => Some(Finding::Failed),
        _ => None,
    }
}

/// Returns what the audit log calls it.
fn state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Guarded(_) => "guarded",
        Outcome::Audited => "audited",
        Outcome::Unguarded { .. } => "unguarded",
    }
}

/// One log line for what holds from now on, if that is new.
pub(crate) fn report(outcome: &Outcome, before: Option<&Outcome>) {
    if before.map(state) != Some(state(outcome)) {
        audit::record(audit::Event::GuardChanged { state: state(outcome) });
    }
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
        (Outcome::Unguarded { reason, open, advice, .. }, _) => {
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
    // Without random numbers all wait their longest.
    let share = getrandom::u64().map_or(1024, |random| (random % 1024) as u32);
    wait / 2 + wait / 2 * share / 1024
}
