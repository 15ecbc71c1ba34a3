//! What becomes of the guard when the policy changes, or the user whose rights it has.
//!
//! A guard that is in use stays, and gets the rights of the new policy in one `ACL SETUSER`. So they
//! hold at once on every link, for what has arrived at Redis and for what is queued in transactions
//! too, and no link has to be closed. Before anything changes they are tried out on a guard of their
//! own. Clients' requests are decided by the new policy from a moment later on.

use std::collections::HashSet;

use tokio::time::timeout;

use crate::config::GuardMode;
use crate::control::guard::Outcome;
use crate::control::watch::{Settled, Watch};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::{Credentials, Greeting};

/// What was found out for a new policy.
pub(crate) enum Prepared {
    /// Links log in as before, and may do there what they should.
    Same,
    /// The same, for the guard has been given other rights.
    Renewed,
    /// Links log in otherwise, or it must be said anew; `None` where nothing has to be held.
    Settle(Option<Outcome>),
    /// It cannot be known now.
    Unreachable(UpstreamError),
}

/// What is new, besides the policy itself.
#[derive(Clone, Copy)]
pub(crate) struct News {
    pub(crate) policy: bool,
    pub(crate) credentials: bool,
}

impl Watch {
    /// Finds out how links log in under `policy`, where `credentials` are configured, and has Redis
    /// hold that policy where a guard does. Nothing has changed after an error.
    ///
    /// # Errors
    /// The upstream does not take the credentials, lets no guard be made where one is required, or is
    /// too busy to say. That it cannot be reached is none.
    pub(crate) async fn prepare(
        &self,
        settled: &Settled,
        policy: &Policy,
        credentials: &Credentials,
        new: News,
    ) -> Result<Prepared, UpstreamError> {
        let is_held = !self.maker.is_wanted(policy) && settled.outcome.is_none();
        if !new.credentials && (!new.policy || is_held) {
            return Ok(Prepared::Same);
        }
        match self.find_out(settled, policy, credentials).await {
            Err(error) if error.is_unreachable() => Ok(Prepared::Unreachable(error)),
            found => found,
        }
    }

    async fn find_out(
        &self,
        settled: &Settled,
        policy: &Policy,
        credentials: &Credentials,
    ) -> Result<Prepared, UpstreamError> {
        let (mut link, greeting) = self.open(credentials).await?;
        let policy = &self.where_it_goes(&mut link, policy).await?;
        match settled.guard() {
            Some(guard) if settled.is_stale => self.maker.remove(&mut link, guard.name()).await,
            Some(_) => match self.renew(settled, &mut link, greeting, policy).await {
                Ok(()) => return Ok(Prepared::Renewed),
                Err(UpstreamError::Guard(error))
                    if error.is_answer() && self.maker.mode == GuardMode::Auto => {}
                Err(error) => return Err(error),
            },
            None => {}
        }
        if !self.maker.is_wanted(policy) {
            return Ok(Prepared::Settle(None));
        }
        let user = credentials.user.as_deref();
        let outcome = self.settle(&mut link, greeting, user, policy).await?;
        Ok(Prepared::Settle(Some(outcome)))
    }

    async fn renew(
        &self,
        settled: &Settled,
        link: &mut Conversation,
        greeting: Greeting,
        policy: &Policy,
    ) -> Result<(), UpstreamError> {
        let Some(guard) = settled.guard() else { return Ok(()) };
        let target = self.maker.target();
        let tried = timeout(target.timeout, self.maker.try_out(link, greeting, policy)).await;
        let trial = tried.unwrap_or_else(|_| Err(target.timed_out()))?;
        let renewed = timeout(target.timeout, self.maker.renew(link, guard, &trial)).await;
        renewed.unwrap_or_else(|_| Err(target.timed_out()))
    }
}

/// Returns whether `new` refuses what `old` lets pass.
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
    fn a_rule_for_a_command_covers_its_subcommands() {
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
