//! Watches the upstream over a link of its own that is always open, and provisions the guard.
//!
//! If there is a guard, that link is logged in as the guard. So Redis closes it as soon as the
//! guard is deleted, and other processes find that the guard is in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::audit;
use crate::control::grants::GrantedCommands;
use crate::control::guard::{
    GUARD, GuardProvisioner, IdentityGuards, IdentityOutcome, IdentityOutcomes, Outcome, Provision,
    Task, checks_payloads, client_fields, commands, configured_logins, report_identities,
};
use crate::control::identities::KnownIdentities;
use crate::control::in_force::{Composer, Finding, enforced};
use crate::control::primary::Finder;
use crate::health::Health;
use crate::net::conversation::Conversation;
use crate::net::keepalive::{give_up_after, watch_dead_after};
use crate::net::upstream_error::UpstreamError;
use crate::worker::handle::WorkerHandle;
use crate::worker::link_login::{IdentityLogin, Login, Way};
use redoubt_core::auth::IdentityId;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::{Guard, GuardError};
use redoubt_core::upstream::{Credentials, Greeting, LoginError};

/// Keeps a link open all the time, to know whether the upstream can be reached, which version it
/// has, and that it has the guard.
pub(crate) struct Watch {
    pub(crate) maker: Arc<GuardProvisioner>,
    pub(crate) health: Arc<Health>,
    pub(crate) composer: Arc<Composer>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) shutdown: CancellationToken,
    /// The last result of provisioning. Only the holder of this lock may say how links log in.
    pub(crate) provisioned: Mutex<Provisioned>,
    /// Number of commands that the upstream listed last; 0 if it lists none.
    pub(crate) listed: AtomicUsize,
    /// Makes the watch provision again at once, as something has changed elsewhere.
    pub(crate) again: Notify,
    /// Finds the primary, where there is a choice of servers.
    pub(crate) finder: Arc<Finder>,
}

/// The last result of provisioning the guard.
pub(crate) struct Provisioned {
    pub(crate) epoch: u64,
    pub(crate) outcome: Option<Outcome>,
    /// How links of the identities with rights of their own log in.
    pub(crate) outcomes: IdentityOutcomes,
    /// The guards of these identities.
    pub(crate) guards: IdentityGuards,
    /// The policy that it was provisioned for.
    pub(crate) policy: Policy,
    /// The identities that it was provisioned for.
    pub(crate) identities: KnownIdentities,
    /// The grants that it was provisioned for.
    pub(crate) granted: GrantedCommands,
    /// Reports a change of the configured credentials since then.
    pub(crate) configured: watch::Receiver<Credentials>,
    /// `true` if the result has not been put in force yet.
    pub(crate) is_changed: bool,
    /// `true` if the result is invalid because the policy has changed.
    pub(crate) is_stale: bool,
}

impl Provisioned {
    /// Returns an empty result for this policy.
    pub(crate) fn nothing(
        policy: Policy,
        identities: KnownIdentities,
        configured: watch::Receiver<Credentials>,
    ) -> Self {
        Self {
            epoch: 0,
            outcome: None,
            outcomes: IdentityOutcomes::new(),
            guards: IdentityGuards::new(),
            policy,
            identities,
            granted: GrantedCommands::default(),
            configured,
            is_changed: false,
            is_stale: false,
        }
    }

    /// Returns how links log in, if the operator has configured `configured`.
    pub(crate) fn finding(&self, configured: Credentials) -> Finding {
        let login = Login {
            epoch: self.epoch,
            credentials: self.guard().map_or(configured, Guard::credentials),
            way: match self.outcome {
                Some(Outcome::Guarded(_)) => Way::Guard,
                Some(Outcome::Audited) | None => Way::Configured,
                Some(Outcome::Unguarded { .. }) => Way::Open,
            },
            identities: self.identity_logins(),
        };
        let has_renamed =
            matches!(self.outcome, Some(Outcome::Unguarded { has_renamed: true, .. }));
        Finding::Login { login: Arc::new(login), has_renamed }
    }

    fn identity_logins(&self) -> BTreeMap<IdentityId, IdentityLogin> {
        if self.outcome.is_none() {
            // Redis has nothing to enforce, so links log in as users that the operator has made.
            return configured_logins(&self.identities);
        }
        let login = |(id, outcome): (&IdentityId, &IdentityOutcome)| Some((*id, outcome.login()?));
        self.outcomes.iter().filter_map(login).collect()
    }

    /// Takes a new result of provisioning, which the caller puts in force, and logs it if it is another.
    pub(crate) fn replace(&mut self, provision: Option<Provision>) {
        match provision {
            Some(Provision { outcome, identities }) => {
                report(&outcome, self.outcome.as_ref());
                self.outcome = Some(outcome);
                self.replace_identities(identities);
            }
            None => {
                self.outcome = None;
                self.outcomes.clear();
            }
        }
        self.in_force_next();
    }

    /// Takes new results for the identities only, which the caller puts in force.
    pub(crate) fn replace_identities(&mut self, outcomes: IdentityOutcomes) {
        report_identities(&self.identities, &outcomes, &self.outcomes);
        self.outcomes = outcomes;
    }

    /// Counts the result up, as the caller puts it in force.
    pub(crate) fn in_force_next(&mut self) {
        (self.is_changed, self.is_stale) = (false, false);
        self.epoch = self.epoch.saturating_add(1);
    }

    pub(crate) fn guard(&self) -> Option<&Guard> {
        match &self.outcome {
            Some(Outcome::Guarded(guard)) => Some(guard),
            _ => None,
        }
    }
}

impl Watch {
    /// First wait after a failed attempt; doubled each time.
    const FIRST_WAIT: Duration = Duration::from_millis(100);
    /// Longest wait between two attempts.
    const LONGEST_WAIT: Duration = Duration::from_secs(5);
    /// The same while there is a choice of servers, of which another may be the primary at any time.
    const LONGEST_CHOICE: Duration = Duration::from_millis(500);
    /// A link that lasted a shorter time counts as a failed attempt, so that a guard which keeps
    /// disappearing is not made again and again without a pause.
    const LASTING: Duration = Duration::from_secs(1);
    /// Time after which it is tried again to make a guard, while there is none.
    const AGAIN: Duration = Duration::from_secs(60);

    /// Watches until shutdown.
    ///
    /// # Errors
    /// A guard is required and Redoubt cannot make it. The shutdown has begun then.
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
        let has_choice = self.finder.has_choice();
        let longest = if has_choice { Self::LONGEST_CHOICE } else { Self::LONGEST_WAIT };
        let mut news = self.finder.news();
        loop {
            match self.link().await {
                Ok((link, greeting)) => {
                    self.health.up(greeting.version);
                    if self.stay(link, greeting).await >= Self::LASTING {
                        wait = Self::FIRST_WAIT;
                        continue;
                    }
                }
                Err(UpstreamError::Guard(
                    error @ (GuardError::Refused(_) | GuardError::Rule(_)),
                )) => {
                    return error;
                }
                Err(error) => {
                    self.health.down(&error);
                    if let Some(finding) = not_found_out(&error) {
                        let _alone = self.provisioned.lock().await;
                        self.put_in_force(finding).await;
                    }
                }
            }
            // Jitter spreads the attempts of many sidecars. A failed attempt of a client's link may
            // end a wait early, but not the shortest wait.
            sleep(jittered(Self::FIRST_WAIT)).await;
            tokio::select! {
                () = sleep(jittered(wait)) => {}
                () = self.health.suspected() => {}
                () = self.again.notified() => {}
                () = news.next() => {}
            }
            wait = (wait * 2).min(longest);
        }
    }

    /// Watches until the link ends or the guard must be provisioned again. Returns how long that
    /// took.
    async fn stay(&self, mut link: Conversation, greeting: Greeting) -> Duration {
        let began = Instant::now();
        let node = self.maker.target().node;
        let (is_audited, is_open, is_guarded, epoch, mut configured) = {
            let provisioned = self.provisioned.lock().await;
            let is_audited = matches!(provisioned.outcome, Some(Outcome::Audited));
            let is_open =
                is_audited || matches!(provisioned.outcome, Some(Outcome::Unguarded { .. }));
            let is_guarded = provisioned.guard().is_some();
            (is_audited, is_open, is_guarded, provisioned.epoch, provisioned.configured.clone())
        };
        tokio::select! {
            news = self.pulse(&mut link, greeting) => {
                // Redis may have been replaced by another, which allows the configured user more.
                if is_audited {
                    let _alone = self.provisioned.lock().await;
                    self.put_in_force(Finding::Unknown).await;
                }
                // The news is sent only after that, since it may lead workers to the new server.
                if let Some(news) = news {
                    self.notify_links(news).await;
                }
            }
            () = self.health.guard_refused(epoch) => debug!(target: GUARD, "guard refused"),
            // The guard does not depend on the configured credentials, so it stays in use.
            Ok(()) = configured.changed(), if !is_guarded => {}
            () = self.again.notified() => {}
            () = sleep(Self::AGAIN), if is_open => {}
            () = self.finder.is_elsewhere(node.as_ref()) => {}
        }
        began.elapsed()
    }

    /// Finds the primary, and lets links go there. What was provisioned at another server does not hold there.
    async fn go_to_primary(&self, provisioned: &mut Provisioned) -> Result<(), UpstreamError> {
        let configured = provisioned.configured.borrow().clone();
        let found = self.finder.find(&self.maker.target(), &configured).await;
        let node = found.as_ref().ok().cloned();
        self.health.primary(node.as_ref().map(ToString::to_string));
        if self.composer.take_node(node).await {
            provisioned.is_stale = true;
        }
        self.finder.report(&found);
        found.map(|_| ()).map_err(UpstreamError::NoPrimary)
    }

    /// Opens the watch's link and provisions the guard for the other links.
    async fn link(&self) -> Result<(Conversation, Greeting), UpstreamError> {
        let provisioned = &mut *self.provisioned.lock().await;
        if self.finder.has_choice() {
            self.go_to_primary(provisioned).await?;
        }
        if !provisioned.is_stale
            && let Some(guard) = provisioned.guard()
            && !self.health.is_guard_refused(provisioned.epoch)
        {
            match self.open(&guard.credentials()).await {
                Err(UpstreamError::Login(LoginError::WrongPassword)) => {
                    debug!(target: GUARD, "the guard is gone from Redis; making it again");
                }
                still_there => return still_there,
            }
        }
        provisioned.is_changed |= provisioned.configured.has_changed().unwrap_or(false);
        let configured = provisioned.configured.borrow_and_update().clone();
        let (mut link, greeting) = self.open(&configured).await?;
        if provisioned.is_stale
            && let Some(guard) = provisioned.guard()
        {
            // Connections of the old guard may still run what is refused now, so they are closed.
            self.maker.remove(&mut link, guard.name()).await;
        }
        let Provisioned { policy, identities, granted, .. } = &*provisioned;
        let task = self.find_task(&mut link, policy, identities, granted).await?;
        if self.maker.is_wanted(&task.policy, &task.identities) {
            let user = configured.user.as_deref();
            // A wrong rule is found at the start; later, another server must not end those who can be served.
            let strict = provisioned.epoch == 0;
            let guards = &mut provisioned.guards;
            let found = self.provision(&mut link, greeting, user, &task, guards, strict).await?;
            report(&found.outcome, provisioned.outcome.as_ref());
            provisioned.outcome = Some(found.outcome);
            provisioned.replace_identities(found.identities);
            provisioned.is_changed = true;
        } else {
            provisioned.is_changed |= provisioned.is_stale || provisioned.outcome.take().is_some();
        }
        provisioned.is_stale = false;
        if provisioned.is_changed {
            provisioned.epoch = provisioned.epoch.saturating_add(1);
            self.put_in_force(provisioned.finding(configured)).await;
            provisioned.is_changed = false;
        }
        Ok((link, greeting))
    }

    /// Returns the policy that the upstream behind `link` must enforce, which depends on the commands that it
    /// has and on whether it checks payloads; `link` is logged in as the configured user. Puts in force
    /// what it found of both.
    pub(crate) async fn find_task(
        &self,
        link: &mut Conversation,
        policy: &Policy,
        identities: &KnownIdentities,
        granted: &GrantedCommands,
    ) -> Result<Task, UpstreamError> {
        let target = self.maker.target();
        let found = async {
            self.composer.take_client_fields(client_fields(link).await?).await;
            let checks = checks_payloads(link).await?;
            Ok((checks, commands(link).await?.map(Arc::new)))
        };
        let found = timeout(target.timeout, found).await;
        let (checks, commands) = found.unwrap_or_else(|_| Err(target.timed_out()))?;
        let policy = enforced(policy, checks, commands.as_deref());
        let count = commands.as_ref().map_or(0, |commands| commands.commands().count());
        self.listed.store(count, Ordering::Relaxed);
        self.composer.take_payload_check(checks).await;
        self.composer.take_commands(commands.clone()).await;
        let (identities, granted) = (Arc::clone(identities), granted.clone());
        Ok(Task { policy, commands, identities, granted })
    }

    /// Returns true if the upstream, which reports `count` commands, has other commands than it listed.
    pub(crate) fn has_other_commands(&self, count: i64) -> bool {
        let listed = self.listed.load(Ordering::Relaxed);
        listed > 0 && usize::try_from(count).is_ok_and(|count| count != listed)
    }

    /// Like [`GuardProvisioner::provision`], with the time limit for opening a link, and more for each identity.
    pub(crate) async fn provision(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        user: Option<&str>,
        task: &Task,
        guards: &mut IdentityGuards,
        strict: bool,
    ) -> Result<Provision, UpstreamError> {
        let target = self.maker.target();
        let limit = target.timeout + per_identities(&task.identities);
        let found = self.maker.provision(link, greeting, user, task, guards, strict);
        timeout(limit, found).await.unwrap_or_else(|_| Err(target.timed_out()))
    }

    /// Opens a link that is logged in with `credentials`, with the same time limit.
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
        self.composer.take_server(greeting).await;
        Ok((link, greeting))
    }

    pub(crate) async fn put_in_force(&self, finding: Finding) {
        finding.show(&self.health);
        self.composer.take_finding(finding).await;
    }
}

/// Returns how much longer provisioning may take because of these identities.
pub(crate) fn per_identities(identities: &KnownIdentities) -> Duration {
    /// For each identity.
    const MORE: Duration = Duration::from_millis(100);
    MORE.saturating_mul(u32::try_from(identities.len()).unwrap_or(u32::MAX))
}

/// Returns what happens to links that wait for their login, when it could not be found out; `None`
/// if they keep waiting.
fn not_found_out(error: &UpstreamError) -> Option<Finding> {
    match error {
        UpstreamError::Guard(error) => error.passing().map(Finding::Busy),
        UpstreamError::Login(_) => Some(Finding::Failed),
        _ => None,
    }
}

/// Returns the name of the state in the audit log.
fn state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Guarded(_) => "guarded",
        Outcome::Audited => "audited",
        Outcome::Unguarded { .. } => "unguarded",
    }
}

/// Logs the current state of the guard, if it has changed.
fn report(outcome: &Outcome, before: Option<&Outcome>) {
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
            info!(target: GUARD, "audited: the upstream user may not run refused commands");
        }
        (Outcome::Unguarded { open, .. }, Some(Outcome::Unguarded { open: known, .. }))
            if open == known => {}
        (Outcome::Unguarded { reason, open, advice, .. }, _) => {
            let open = open.join(" ");
            warn!(
                target: GUARD, reason, open, advice,
                "no guard: scripts and functions are refused, since they could run blocked commands"
            );
        }
    }
}

/// Returns a random time from half of `wait` to `wait`.
fn jittered(wait: Duration) -> Duration {
    // Without random numbers, all wait for the longest time.
    let share = getrandom::u64().map_or(1024, |random| (random % 1024) as u32);
    wait / 2 + wait / 2 * share / 1024
}
