//! Makes the guard, or audits the configured user instead.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `guard made`, `guard renewed` | info | `user` (its name) |
//! | `audited: …` | info | |
//! | `no guard: …` | warn | `reason`, `open` (what could run), `advice` (a line for `redis-cli`) |
//! | `stale guards removed` | info | `count` |
//!
//! All are under the target `redoubt::guard`, and each is logged when it is new. None holds a
//! secret.

mod audit;
mod commands;
mod dry_run;
mod payloads;
mod renamed;

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tracing::{debug, info};

use crate::config::GuardMode;
use crate::net::conversation::Conversation;
use crate::net::upstream::{Target, UpstreamError};
use audit::{Audited, scriptable};
pub(in crate::control) use commands::commands;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::{self, Answer, Batch, Guard, Probe, Rights, probes};
use redoubt_core::upstream::{Credentials, Greeting};

/// The target of every line about the guard, for use in `log.level`.
pub(crate) const GUARD: &str = "redoubt::guard";

/// How the policy is enforced by the upstream.
pub(crate) enum Outcome {
    /// Links log in as this user, to whom Redis refuses what the policy refuses.
    Guarded(Guard),
    /// The configured user may not run what the policy refuses.
    Audited,
    /// The configured user may run some of what the policy refuses.
    Unguarded {
        /// The reason why there is no guard, if one should be made.
        reason: Option<String>,
        /// Names of rules that Redis does not enforce in scripts.
        open: Vec<String>,
        /// `true` if Redis has a refused command under another name.
        has_renamed: bool,
        /// A command that the operator can run to correct it.
        advice: String,
    },
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
}

impl GuardProvisioner {
    /// Most guards that are remembered. Older guards are removed later because of their age.
    const MOST_MADE: usize = 16;

    /// Returns whether it must be found out how links log in.
    pub(crate) fn is_wanted(&self, policy: &Policy) -> bool {
        is_wanted(self.mode, policy)
    }

    /// Returns the address and socket options of links.
    pub(crate) fn target(&self) -> Target {
        self.target.borrow().clone()
    }

    /// Finds out how the upstream behind `link` enforces `policy`; `link` is logged in as `user`,
    /// the configured user. Makes a guard if the mode says so; then `link` is logged in as the
    /// guard afterwards.
    ///
    /// # Errors
    /// Redis cannot be reached or cannot answer now; or, if a guard is required, the reason why
    /// there is none.
    pub(crate) async fn provision(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        user: Option<&str>,
        policy: &Policy,
    ) -> Result<Outcome, UpstreamError> {
        let probes = probes(policy.rules(), greeting.standalone);
        let reason = match self.mode {
            GuardMode::Audit | GuardMode::Off => None,
            GuardMode::Auto | GuardMode::Require => match self.make(link, &probes, policy).await {
                Ok(guard) => return Ok(Outcome::Guarded(guard)),
                Err(UpstreamError::Guard(error))
                    if error.is_answer() && self.mode == GuardMode::Auto =>
                {
                    Some(error.to_string())
                }
                Err(error) => return Err(error),
            },
        };
        let of = Audited { user, policy, version: greeting.version };
        self.audit(link, scriptable(&probes), of, reason).await
    }

    async fn make(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
        policy: &Policy,
    ) -> Result<Guard, UpstreamError> {
        let (guard, _) = self.provide(link, probes, policy).await?;
        let logged_in = ask(link, &guard.log_in(), &self.target()).await;
        let logged_in = logged_in.and_then(|answers| Ok(Guard::made("AUTH", &answers)?));
        match logged_in {
            Ok(()) => Ok(guard),
            Err(error) => {
                self.remove(link, guard.name()).await;
                Err(error)
            }
        }
    }

    /// Returns the list of users, and the name and rights of the user that is logged in.
    async fn rights(
        &self,
        link: &mut Conversation,
    ) -> Result<(Answer, Vec<u8>, Rights), UpstreamError> {
        let mut batch = Batch::of(&["ACL", "WHOAMI"]);
        batch.add(&["ACL", "LIST"]);
        let mut answers = ask(link, &batch, &self.target()).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Answer::Null);
        let (user, list) = (Rights::user(&next())?, next());
        let rights = Rights::find(&list, &user)?;
        Ok((list, user, rights))
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
        let connected = ask(link, &Batch::of(&["CLIENT", "LIST"]), &self.target()).await?;
        let connected = connected.first().and_then(guard::connected_users);
        let Some(connected) = connected else {
            debug!(target: GUARD, "CLIENT LIST does not show which guards are in use, so none is removed");
            return Ok(());
        };
        let stale = guard::stale(&guards, &connected, now);
        if stale.is_empty() {
            return Ok(());
        }
        let removed = ask(link, &guard::remove(&stale), &self.target()).await?;
        match removed.first() {
            Some(Answer::Integer(count)) => info!(target: GUARD, count, "stale guards removed"),
            _ => debug!(target: GUARD, "stale guards cannot be removed"),
        }
        Ok(())
    }

    fn remember(&self, name: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
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
            ask(&mut link, &guard::remove(&made), &self.target()).await
        });
        match removed.await {
            Ok(Ok(answers)) if matches!(answers.first(), Some(Answer::Integer(_))) => {
                debug!(target: GUARD, "the guard is removed");
            }
            _ => debug!(target: GUARD, "the guard cannot be removed; another process will do it"),
        }
    }
}

/// Returns whether the policy refuses anything in scripts, and the operator wants Redis to enforce
/// it.
pub(crate) fn is_wanted(mode: GuardMode, policy: &Policy) -> bool {
    mode != GuardMode::Off && policy.rules().next().is_some()
}

/// Sends a batch and returns the answers.
async fn ask(
    link: &mut Conversation,
    batch: &Batch,
    target: &Target,
) -> Result<Vec<Answer>, UpstreamError> {
    link.ask(batch).await.map_err(|source| target.broken(source))
}

/// Returns the time in seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "other processes compare it with their own clocks")]
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}
