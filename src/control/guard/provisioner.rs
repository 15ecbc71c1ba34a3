//! Makes guards in steps, tests the rights that they would have, and removes them again.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{debug, info};

use super::audit::{Audited, audit};
use super::questions::rights;
use super::trial::{open, scriptable, take, without};
use super::{GUARD, IdentityGuards, IdentityOutcomes, Outcome, Provision, Task, is_wanted};
use crate::config::{GuardMode, seconds};
use crate::control::identities::KnownIdentity;
use crate::net::conversation::Conversation;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::{
    self, Answer, Batch, Guard, GuardError, GuardGroup, Probe, Rights, probes,
};
use redoubt_core::upstream::{Credentials, Greeting};

/// Names what Redis may not take, in errors.
pub(super) const GRANTED: &str = "a granted command";

/// The rights of a guard, tested to refuse what the policy refuses.
pub(in crate::control) struct DryRun {
    /// The rights of the configured user.
    rights: Rights,
    /// The policy's rules that name a command which this Redis has.
    rules: Vec<String>,
    /// The commands that the guard may run all the same.
    granted: Vec<String>,
}

impl DryRun {
    /// Returns the rights of the configured user.
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Returns the policy's rules that this Redis knows.
    pub(super) fn rules(&self) -> Vec<&str> {
        self.rules.iter().map(String::as_str).collect()
    }

    fn granted(&self) -> Vec<&str> {
        self.granted.iter().map(String::as_str).collect()
    }
}

/// Makes guards and removes them again.
pub(crate) struct GuardProvisioner {
    pub(crate) mode: GuardMode,
    /// The configured credentials, as they are now.
    pub(crate) configured: watch::Receiver<Credentials>,
    pub(crate) target: watch::Receiver<Target>,
    /// The names of the guards that were made, to be removed at the end: the last
    /// [`GuardProvisioner::MOST_MADE`].
    pub(crate) made: Mutex<Vec<String>>,
    /// What the names of all guards of this process have in common.
    group: GuardGroup,
    /// The number of the next guard.
    next: AtomicU32,
}

impl GuardProvisioner {
    /// Most guards that are remembered. Older guards are removed later because of their age.
    const MOST_MADE: usize = 2048;

    /// Makes nothing yet.
    ///
    /// # Errors
    /// The system provides no random numbers.
    pub(crate) fn new(
        mode: GuardMode,
        configured: watch::Receiver<Credentials>,
        target: watch::Receiver<Target>,
    ) -> Result<Self, getrandom::Error> {
        let mut random = [0; GuardGroup::RANDOM];
        getrandom::fill(&mut random)?;
        let group = GuardGroup::new(&random);
        Ok(Self {
            mode,
            configured,
            target,
            made: Mutex::default(),
            group,
            next: AtomicU32::new(0),
        })
    }

    /// Returns whether it must be found out how links log in.
    pub(crate) fn is_wanted(&self, policy: &Policy, identities: &[KnownIdentity]) -> bool {
        is_wanted(self.mode, policy, identities)
    }

    /// Returns a guard that Redis does not know yet, with a name of its own.
    ///
    /// # Errors
    /// The system provides no random numbers.
    pub(super) fn new_guard(&self) -> Result<Guard, GuardError> {
        let mut random = [0; Guard::RANDOM];
        getrandom::fill(&mut random)
            .map_err(|_| GuardError::Later("the system gives no random numbers".to_owned()))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let guard = Guard::new(seconds(), &self.group, number, &random);
        self.remember(guard.name());
        Ok(guard)
    }

    /// Returns a name as guards have it, for a user that nobody logs in as.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(in crate::control) fn new_name(&self) -> Result<String, GuardError> {
        Ok(self.new_guard()?.name().to_owned())
    }

    /// Returns the address and socket options of links.
    pub(crate) fn target(&self) -> Target {
        self.target.borrow().clone()
    }

    /// Finds out how the upstream behind `link` enforces the policy of `task`; `link` is logged in as `user`,
    /// the configured user. Makes a guard if the mode says so; then `link` is logged in as the
    /// guard afterwards. Makes or renews the `guards` of identities likewise.
    ///
    /// # Errors
    /// Redis cannot be reached or cannot answer now; or, if a guard is required, the reason why
    /// there is none; or, if `strict`, Redis does not take a rule of an identity.
    pub(crate) async fn provision(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        user: Option<&str>,
        task: &Task,
        guards: &mut IdentityGuards,
        strict: bool,
    ) -> Result<Provision, UpstreamError> {
        let Task { policy, commands, .. } = task;
        let probes = probes(policy.rules(), greeting.standalone);
        let reason = match self.mode {
            GuardMode::Audit | GuardMode::Off => None,
            GuardMode::Auto | GuardMode::Require => {
                match self.make(link, greeting, &probes, task, guards, strict).await {
                    Ok((guard, identities)) => {
                        return Ok(Provision { outcome: Outcome::Guarded(guard), identities });
                    }
                    Err(UpstreamError::Guard(error)) if self.may_do_without(&error) => {
                        Some(error.to_string())
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let identities = self.accounts(link, greeting, task, reason.as_deref()).await?;
        let of = Audited {
            user,
            is_own: true,
            policy,
            commands: commands.as_deref(),
            version: greeting.version,
        };
        let outcome = audit(link, scriptable(&probes), of, reason).await?;
        Ok(Provision { outcome, identities })
    }

    /// Returns whether Redoubt goes on without a guard after this error.
    pub(in crate::control) fn may_do_without(&self, error: &GuardError) -> bool {
        self.mode == GuardMode::Auto && error.is_answer() && !matches!(error, GuardError::Rule(_))
    }

    async fn make(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        probes: &[Probe],
        task: &Task,
        guards: &mut IdentityGuards,
        strict: bool,
    ) -> Result<(Guard, IdentityOutcomes), UpstreamError> {
        let granted = task.granted.of(None);
        let (guard, trial) = self.provide(link, probes, &task.policy, &granted).await?;
        let made = async {
            let tested = self.test_identities(link, greeting, task, &trial, strict).await?;
            let identities = self.give_identities(link, tested, &trial, guards).await?;
            let logged_in = link.ask(&guard.log_in()).await?;
            Guard::made("AUTH", &logged_in)?;
            Ok(identities)
        };
        match made.await {
            Ok(identities) => Ok((guard, identities)),
            Err(error) => {
                self.remove(link, guard.name()).await;
                Err(error)
            }
        }
    }

    /// Makes a guard for `policy`, checks its rights, and removes it again. `link` must be logged
    /// in as the configured user.
    ///
    /// # Errors
    /// See [`GuardProvisioner::provision`].
    pub(in crate::control) async fn try_out(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        policy: &Policy,
        granted: &[&str],
    ) -> Result<DryRun, UpstreamError> {
        let probes = probes(policy.rules(), greeting.standalone);
        let (guard, trial) = self.provide(link, &probes, policy, granted).await?;
        self.remove(link, guard.name()).await;
        Ok(trial)
    }

    /// Gives a guard that is in use the tested rights. All connections that are logged in as the
    /// guard have them from then on, also for queued commands, and stay open. If the guard was
    /// deleted, it is made again.
    ///
    /// # Errors
    /// Redis cannot be reached, or does not allow this user to change its ACL any more.
    pub(in crate::control) async fn renew(
        &self,
        link: &mut Conversation,
        guard: &Guard,
        trial: &DryRun,
    ) -> Result<(), UpstreamError> {
        let made = guard.make(&trial.rights, &trial.rules(), &trial.granted());
        let made = link.ask(&made).await?;
        Ok(Guard::made("ACL SETUSER", &made)?)
    }

    /// Makes a guard and checks its rights. After an error, the guard is removed.
    pub(super) async fn provide(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
        policy: &Policy,
        granted: &[&str],
    ) -> Result<(Guard, DryRun), UpstreamError> {
        let (list, rights) = rights(link).await?;
        self.remove_stale(link, &list, seconds()).await?;
        let guard = self.new_guard()?;
        let rules: Vec<_> = policy.rules().collect();
        let names: Vec<&str> = rules.iter().map(|rule| &**rule).collect();
        let answers = link.ask(&guard.try_rules(&names)).await?;
        let made = match Guard::tried(&names, &answers) {
            Ok(known) => {
                let given =
                    self.give_rights(link, &guard, &rights, (&known, granted), probes).await;
                given.map(|()| known)
            }
            Err(error) => Err(error.into()),
        };
        match made {
            Ok(known) => {
                let rules = known.into_iter().map(str::to_owned).collect();
                let granted = granted.iter().map(|&name| name.to_owned()).collect();
                Ok((guard, DryRun { rights, rules, granted }))
            }
            Err(error) => {
                self.remove(link, guard.name()).await;
                Err(error)
            }
        }
    }

    /// Gives the guard its rights, and checks that it has no more.
    async fn give_rights(
        &self,
        link: &mut Conversation,
        guard: &Guard,
        rights: &Rights,
        (known, granted): (&[&str], &[&str]),
        probes: &[Probe],
    ) -> Result<(), UpstreamError> {
        // Keys, channels and databases would hide whether the command itself is refused.
        take(link, guard.make(&rights.everywhere(), known, granted), GRANTED).await?;
        let probes = without(probes, granted);
        let open = open(&probes, &self.verdicts(link, guard, &probes).await?);
        if !open.is_empty() {
            let reason = format!("the guard could still run {}", open.join(", "));
            return Err(GuardError::Refused(reason).into());
        }
        take(link, guard.make(rights, known, granted), GRANTED).await
    }

    /// Removes a guard, and closes the connections that are logged in as the guard. Errors are
    /// ignored: the guard was never made, or Redis cannot be reached.
    pub(in crate::control) async fn remove(&self, link: &mut Conversation, name: &str) {
        let removed = link.ask(&guard::remove(&[name])).await;
        if removed.is_ok() {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.retain(|other| other != name);
        }
    }

    /// Removes guards that other processes left behind.
    async fn remove_stale(
        &self,
        link: &mut Conversation,
        list: &Answer,
        now: u64,
    ) -> Result<(), UpstreamError> {
        let guards = guard::guards_in(list);
        if guards.is_empty() {
            return Ok(());
        }
        let connected = link.ask(&Batch::of(&["CLIENT", "LIST"])).await?;
        let connected = connected.first().and_then(guard::connected_users);
        let Some(connected) = connected else {
            debug!(target: GUARD, "CLIENT LIST does not show which guards are in use, so none is removed");
            return Ok(());
        };
        let stale = guard::stale(&guards, &connected, now);
        if stale.is_empty() {
            return Ok(());
        }
        let removed = link.ask(&guard::remove(&stale)).await?;
        match removed.first() {
            Some(Answer::Integer(count)) => info!(target: GUARD, count, "stale guards removed"),
            _ => debug!(target: GUARD, "stale guards cannot be removed"),
        }
        Ok(())
    }

    fn remember(&self, name: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.iter().any(|known| known == name) {
            return;
        }
        if made.len() >= Self::MOST_MADE {
            made.remove(0);
        }
        made.push(name.to_owned());
    }

    /// Removes the guards of this process, whose links must have been closed.
    pub(crate) async fn remove_own(&self) {
        let made = mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        if made.is_empty() {
            return;
        }
        let removed = tokio::time::timeout(self.target().timeout, async {
            let configured = self.configured.borrow().clone();
            let (mut link, _) = self.target().log_in(&configured).await?;
            link.ask(&guard::remove(&made)).await
        });
        match removed.await {
            Ok(Ok(answers)) if matches!(answers.first(), Some(Answer::Integer(_))) => {
                debug!(target: GUARD, "the guard is removed");
            }
            _ => debug!(target: GUARD, "the guard cannot be removed; another process will do it"),
        }
    }
}
