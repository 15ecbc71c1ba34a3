//! Adapts the guard when the policy or the configured user changes.
//!
//! A guard that is in use stays, and gets the rights of the new policy in one `ACL SETUSER`. The
//! rights apply at once on every link, also to commands that have arrived at Redis or are queued in
//! transactions, and no link has to be closed. Before that, a dry run tries the rights with a
//! separate guard. Clients' requests are decided by the new policy a moment later.

use std::collections::HashSet;

use tokio::time::timeout;
use tracing::info;

use crate::control::guard::{GUARD, IdentityOutcomes, Outcome, Provision, Task};
use crate::control::identities::KnownIdentities;
use crate::control::watch::{Provisioned, Watch, per_identities};
use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::{Credentials, Greeting};

/// What was found out for a new policy.
pub(crate) enum Prepared {
    /// Links log in as before, and their rights are right.
    Same,
    /// Links log in as before, and the guard was given new rights. Those of identities with rights of their own log in
    /// like this.
    Renewed(IdentityOutcomes),
    /// The login of links changes, or must be logged again; `None` if Redis has nothing to enforce.
    Change(Option<Provision>),
    /// It cannot be found out now.
    Unreachable(UpstreamError),
}

/// Which inputs of the login a reload changes.
#[derive(Clone, Copy)]
pub(crate) struct News {
    pub(crate) policy: bool,
    pub(crate) credentials: bool,
    pub(crate) identities: bool,
}

impl Watch {
    /// Finds out how links log in under `policy` and for `identities` with the configured `credentials`, and gives
    /// the guards their rights if there are any. After an error nothing has changed.
    ///
    /// # Errors
    /// The upstream rejects the credentials or a rule of an identity, does not allow the required guard, or is too busy
    /// to answer. An upstream that cannot be reached is not an error.
    pub(crate) async fn prepare(
        &self,
        provisioned: &mut Provisioned,
        policy: &Policy,
        identities: &KnownIdentities,
        credentials: &Credentials,
        new: News,
    ) -> Result<Prepared, UpstreamError> {
        let is_held = !self.maker.is_wanted(policy, identities) && provisioned.outcome.is_none();
        if is_held && new.identities {
            return Ok(Prepared::Change(None));
        }
        if !new.credentials && !new.identities && (!new.policy || is_held) {
            return Ok(Prepared::Same);
        }
        match self.find_out(provisioned, policy, identities, credentials, true).await {
            Err(error) if error.is_unreachable() => Ok(Prepared::Unreachable(error)),
            found => found,
        }
    }

    /// Finds out again what must be enforced, as the upstream has other commands than before.
    pub(crate) async fn commands_changed(&self) {
        info!(target: GUARD, "the upstream has other commands than before, as after MODULE LOAD");
        let provisioned = &mut *self.provisioned.lock().await;
        let configured = self.maker.configured.borrow().clone();
        let policy = provisioned.policy.clone();
        let identities = provisioned.identities.clone();
        let found = self.find_out(provisioned, &policy, &identities, &configured, false).await;
        if self.take(provisioned, found, configured).await.is_err() {
            provisioned.is_stale = true;
            self.again.notify_one();
        }
    }

    /// Gives the guards the rights that follow from other grants. With `strict`, Redis must know what is granted.
    ///
    /// # Errors
    /// The upstream cannot be reached or does not take a granted command. Some guards may have been changed.
    pub(crate) async fn grants_changed(
        &self,
        provisioned: &mut Provisioned,
        strict: bool,
    ) -> Result<(), UpstreamError> {
        if provisioned.outcome.is_none() {
            // Redis has nothing to enforce, or it is not known yet.
            return Ok(());
        }
        let configured = self.maker.configured.borrow().clone();
        let (policy, identities) = (provisioned.policy.clone(), provisioned.identities.clone());
        let found = self.find_out(provisioned, &policy, &identities, &configured, strict).await;
        self.take(provisioned, found, configured).await
    }

    /// Puts in force what was found out.
    async fn take(
        &self,
        provisioned: &mut Provisioned,
        found: Result<Prepared, UpstreamError>,
        configured: Credentials,
    ) -> Result<(), UpstreamError> {
        match found? {
            Prepared::Same => return Ok(()),
            Prepared::Renewed(outcomes) if outcomes.is_empty() => return Ok(()),
            Prepared::Renewed(outcomes) => {
                provisioned.replace_identities(outcomes);
                provisioned.in_force_next();
            }
            Prepared::Change(provision) => provisioned.replace(provision),
            Prepared::Unreachable(error) => return Err(error),
        }
        self.put_in_force(provisioned.finding(configured)).await;
        Ok(())
    }

    async fn find_out(
        &self,
        provisioned: &mut Provisioned,
        policy: &Policy,
        identities: &KnownIdentities,
        credentials: &Credentials,
        strict: bool,
    ) -> Result<Prepared, UpstreamError> {
        let (mut link, greeting) = self.open(credentials).await?;
        let granted = provisioned.granted.clone();
        let task = self.find_task(&mut link, policy, identities, &granted).await?;
        match provisioned.guard() {
            Some(guard) if provisioned.is_stale => self.maker.remove(&mut link, guard.name()).await,
            Some(_) => match self.renew(provisioned, &mut link, greeting, &task, strict).await {
                Ok(identities) => return Ok(Prepared::Renewed(identities)),
                Err(UpstreamError::Guard(error)) if self.maker.may_do_without(&error) => {}
                Err(error) => return Err(error),
            },
            None => {}
        }
        if !self.maker.is_wanted(&task.policy, &task.identities) {
            return Ok(Prepared::Change(None));
        }
        let user = credentials.user.as_deref();
        let guards = &mut provisioned.guards;
        let found = self.provision(&mut link, greeting, user, &task, guards, strict).await?;
        Ok(Prepared::Change(Some(found)))
    }

    async fn renew(
        &self,
        provisioned: &mut Provisioned,
        link: &mut Conversation,
        greeting: Greeting,
        task: &Task,
        strict: bool,
    ) -> Result<IdentityOutcomes, UpstreamError> {
        let target = self.maker.target();
        let limit = target.timeout + per_identities(&task.identities);
        let Provisioned { outcome, guards, .. } = provisioned;
        let Some(Outcome::Guarded(guard)) = outcome else { return Ok(IdentityOutcomes::new()) };
        let tried = timeout(limit, async {
            let granted = task.granted.of(None);
            let trial = self.maker.try_out(link, greeting, &task.policy, &granted).await?;
            let tested = self.maker.test_identities(link, greeting, task, &trial, strict).await?;
            Ok((trial, tested))
        });
        let (trial, tested) = tried.await.unwrap_or_else(|_| Err(target.timed_out()))?;
        let renewed = timeout(limit, async {
            self.maker.renew(link, guard, &trial).await?;
            self.maker.give_identities(link, tested, &trial, guards).await
        });
        renewed.await.unwrap_or_else(|_| Err(target.timed_out()))
    }
}

/// Returns whether `new` refuses a command that `old` allows.
pub(crate) fn is_stricter(old: &Policy, new: &Policy) -> bool {
    let known: HashSet<String> = old.rules().map(|rule| rule.to_string()).collect();
    let covers = |rule: &str| {
        let command = rule.split_once('|').map(|(command, _)| command);
        known.contains(rule) || command.is_some_and(|command| known.contains(command))
    };
    new.rules().any(|rule| !covers(&rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redoubt_core::policy::Escapes;

    #[test]
    fn rule_for_a_command_covers_its_subcommands() {
        let policy = |rules: &[&str]| Policy::compile(rules, Escapes::Allow).unwrap();
        let stricter = |old: &[&str], new: &[&str]| is_stricter(&policy(old), &policy(new));
        assert!(stricter(&["XGROUP|DESTROY"], &["XGROUP"]));
        assert!(!stricter(&["XGROUP", "DEL"], &["DEL", "XGROUP|DESTROY"]));
        assert!(stricter(&["GET"], &["SET"]));
        assert!(stricter(&["GET"], &["GET", "zz.module"]));
        assert!(!stricter(&["get", "SET"], &["SET", "GET"]));
        assert!(stricter(&[], &["GET"]) && !stricter(&["GET"], &[]));
    }
}
