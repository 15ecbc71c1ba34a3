//! Makes a guard in steps, and tests the rights that it would have.

use std::sync::PoisonError;

use super::audit::{open, scriptable};
use super::{GuardProvisioner, ask, seconds};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::Greeting;
use redoubt_core::upstream::guard::{self, Guard, GuardError, Probe, Rights, probes};

/// The rights of a guard, tested to refuse what the policy refuses.
pub(in crate::control) struct DryRun {
    /// The rights of the configured user.
    rights: Rights,
    /// The policy's rules that name a command which this Redis has.
    rules: Vec<String>,
}

impl GuardProvisioner {
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
    ) -> Result<DryRun, UpstreamError> {
        let probes = probes(policy.rules(), greeting.standalone);
        let (guard, trial) = self.provide(link, &probes, policy).await?;
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
        let rules: Vec<_> = trial.rules.iter().map(String::as_str).collect();
        let made = ask(link, &guard.make(&trial.rights, &rules), &self.target()).await?;
        Ok(Guard::made("ACL SETUSER", &made)?)
    }

    /// Makes a guard and checks its rights. After an error, the guard is removed.
    pub(super) async fn provide(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
        policy: &Policy,
    ) -> Result<(Guard, DryRun), UpstreamError> {
        let (list, _, rights) = self.rights(link).await?;
        let now = seconds();
        self.remove_stale(link, &list, now).await?;
        let mut random = [0; Guard::RANDOM];
        getrandom::fill(&mut random)
            .map_err(|_| GuardError::Later("the system gives no random numbers".to_owned()))?;
        let guard = Guard::new(now, &random);
        let rules: Vec<_> = policy.rules().collect();
        let names: Vec<&str> = rules.iter().map(|rule| &**rule).collect();
        let answers = ask(link, &guard.try_rules(&names), &self.target()).await?;
        self.remember(guard.name());
        let made = match Guard::tried(&names, &answers) {
            Ok(known) => {
                self.give_rights(link, &guard, &rights, &known, probes).await.map(|()| known)
            }
            Err(error) => Err(error.into()),
        };
        match made {
            Ok(known) => {
                let rules = known.into_iter().map(str::to_owned).collect();
                Ok((guard, DryRun { rights, rules }))
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
        known: &[&str],
        probes: &[Probe],
    ) -> Result<(), UpstreamError> {
        let target = self.target();
        // Keys, channels and databases would hide whether the command itself is refused.
        let made = ask(link, &guard.make(&rights.everywhere(), known), &target).await?;
        Guard::made("ACL SETUSER", &made)?;
        let open = match self.dry_run(link, guard.name().as_bytes(), probes).await {
            Ok(verdicts) => open(probes, &verdicts),
            Err(UpstreamError::Guard(error)) if error.is_answer() => {
                // A server without ACL DRYRUN needs a connection of the guard itself for the test.
                let (mut link, _) = target.log_in(&guard.credentials()).await?;
                let scriptable = scriptable(probes);
                let verdicts = self.queue(&mut link, &scriptable).await?;
                open(&scriptable, &verdicts)
            }
            Err(error) => return Err(error),
        };
        if !open.is_empty() {
            let reason = format!("the guard could still run {}", open.join(", "));
            return Err(GuardError::Refused(reason).into());
        }
        let made = ask(link, &guard.make(rights, known), &target).await?;
        Ok(Guard::made("ACL SETUSER", &made)?)
    }

    /// Removes a guard, and closes the connections that are logged in as the guard. Errors are
    /// ignored: the guard was never made, or Redis cannot be reached.
    pub(in crate::control) async fn remove(&self, link: &mut Conversation, name: &str) {
        let removed = ask(link, &guard::remove(&[name]), &self.target()).await;
        if removed.is_ok() {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.retain(|other| other != name);
        }
    }
}
