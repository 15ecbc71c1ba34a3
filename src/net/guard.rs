//! Making the guard, or trying the configured user in its place.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{debug, info};

use super::ask::Conversation;
use super::upstream::{Target, UpstreamError};
use crate::auth::DEFAULT_USER;
use crate::command::Version;
use crate::config::GuardMode;
use crate::policy::{Policy, RuleName};
use crate::upstream::guard::{
    self, Answer, Batch, Guard, GuardError, Probe, Rights, Verdict, advice, is_typed, probes,
};
use crate::upstream::{Credentials, Greeting};

/// The target of every line about the guard, for use in `log.level`.
pub(super) const GUARD: &str = "redoubt::guard";

/// What holds on the upstream.
pub(super) enum Outcome {
    /// Links log in as this user, to whom Redis refuses what the policy refuses.
    Guarded(Guard),
    /// The configured user may not run what the policy refuses.
    Audited,
    /// It may run some of it.
    Unguarded {
        /// Why there is no guard, if one was to be made.
        reason: Option<String>,
        /// Names of rules that Redis does not hold against scripts.
        open: Vec<String>,
        /// What the operator can type.
        advice: String,
    },
}

/// Makes guards and removes them again.
pub(super) struct Maker {
    pub(super) mode: GuardMode,
    pub(super) policy: Policy,
    /// The configured user; `None` is `default`.
    pub(super) user: Option<String>,
    pub(super) target: Target,
    /// The names of the guards made, to be removed at the end: the last [`Maker::MOST_MADE`].
    pub(super) made: Mutex<Vec<String>>,
}

impl Maker {
    /// Most guards that are remembered. Older ones are found by their age later.
    const MOST_MADE: usize = 16;

    /// Whether it is to be settled how links log in.
    pub(super) fn is_wanted(&self) -> bool {
        is_wanted(self.mode, &self.policy)
    }

    /// Finds out what holds on the upstream behind `link`, which is logged in as the configured
    /// user; makes a guard if the mode says so. With a guard, `link` is logged in as it afterwards.
    ///
    /// # Errors
    /// Redis is not there or cannot say now; or, when a guard is required, why there is none.
    pub(super) async fn settle(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
    ) -> Result<Outcome, UpstreamError> {
        let probes = probes(self.policy.rules(), greeting.standalone);
        let reason = match self.mode {
            GuardMode::Audit | GuardMode::Off => None,
            GuardMode::Auto | GuardMode::Require => match self.make(link, &probes).await {
                Ok(guard) => return Ok(Outcome::Guarded(guard)),
                Err(UpstreamError::Guard(GuardError::Refused(reason)))
                    if self.mode == GuardMode::Auto =>
                {
                    Some(reason)
                }
                Err(error) => return Err(error),
            },
        };
        self.audit(link, scriptable(&probes), greeting.version, reason).await
    }

    async fn make(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
    ) -> Result<Guard, UpstreamError> {
        let (list, _, rights) = self.rights(link).await?;
        let now = seconds();
        self.remove_stale(link, &list, now).await?;
        let guard = Guard::new(now, &random()?);
        let rules: Vec<_> = self.policy.rules().collect();
        let names: Vec<&str> = rules.iter().map(|rule| &**rule).collect();
        let answers = ask(link, &guard.try_rules(&names), &self.target).await?;
        self.remember(guard.name());
        let known = Guard::tried(&names, &answers);
        let made = match known {
            Ok(known) => self.finish(link, &guard, &rights, &known, probes).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = made {
            // If it was never made, or Redis is gone, this fails too and there is nothing to do.
            let _ = ask(link, &guard::remove(&[guard.name()]), &self.target).await;
            return Err(error);
        }
        Ok(guard)
    }

    /// Gives the guard its rights, makes sure that they are not too many, and logs `link` in as it.
    async fn finish(
        &self,
        link: &mut Conversation,
        guard: &Guard,
        rights: &Rights,
        known: &[&str],
        probes: &[Probe],
    ) -> Result<(), UpstreamError> {
        let made = ask(link, &guard.make(rights, known), &self.target).await?;
        Guard::made("ACL SETUSER", &made)?;
        let open = match self.dry_run(link, guard.name().as_bytes(), probes).await {
            Ok(verdicts) => open(probes, &verdicts),
            Err(UpstreamError::Guard(GuardError::Refused(_))) => {
                // Without ACL DRYRUN it takes the guard itself to try.
                let (stream, _) = self.target.log_in(&guard.credentials()).await?;
                let scriptable = scriptable(probes);
                let verdicts = self.queue(&mut Conversation::new(stream), &scriptable).await?;
                open(&scriptable, &verdicts)
            }
            Err(error) => return Err(error),
        };
        if !open.is_empty() {
            let reason = format!("the guard could still run {}", open.join(", "));
            return Err(GuardError::Refused(reason).into());
        }
        Guard::made("AUTH", &ask(link, &guard.log_in(), &self.target).await?)?;
        Ok(())
    }

    /// Tries what a script could call as the configured user.
    async fn audit(
        &self,
        link: &mut Conversation,
        probes: Vec<Probe>,
        version: Option<Version>,
        reason: Option<String>,
    ) -> Result<Outcome, UpstreamError> {
        let rights = match self.rights(link).await {
            Ok((_, _, rights)) => Some(rights),
            Err(UpstreamError::Guard(GuardError::Refused(_))) => None,
            Err(error) => return Err(error),
        };
        let user = self.user.as_deref().unwrap_or(DEFAULT_USER);
        let verdicts = match self.dry_run(link, user.as_bytes(), &probes).await {
            Err(UpstreamError::Guard(GuardError::Refused(_))) => {
                match self.queue(link, &probes).await {
                    Err(UpstreamError::Guard(GuardError::Refused(_))) => {
                        vec![Verdict::Allowed; probes.len()]
                    }
                    verdicts => verdicts?,
                }
            }
            verdicts => verdicts?,
        };
        let open = open(&probes, &verdicts);
        if open.is_empty() {
            return Ok(Outcome::Audited);
        }
        // A rule for what the table does not have can be typed only if Redis has it.
        let exists = |rule: &RuleName| {
            let mut tried = probes.iter().zip(&verdicts);
            tried.any(|(probe, verdict)| probe.rule == *rule && *verdict != Verdict::Missing)
        };
        let rules: Vec<_> = self.policy.rules().collect();
        let rules = rules.iter().filter(|rule| is_typed(rule, version).unwrap_or(exists(rule)));
        let rules: Vec<&str> = rules.map(|rule| &**rule).collect();
        let advice = advice(self.user.as_deref(), rights.as_ref(), &rules);
        Ok(Outcome::Unguarded { reason, open, advice })
    }

    /// The list of users, and the name and rights of the one that is logged in.
    async fn rights(
        &self,
        link: &mut Conversation,
    ) -> Result<(Answer, Vec<u8>, Rights), UpstreamError> {
        let mut batch = Batch::of(&["ACL", "WHOAMI"]);
        batch.add(&["ACL", "LIST"]);
        let mut answers = ask(link, &batch, &self.target).await?.into_iter();
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
        let connected = ask(link, &Batch::of(&["CLIENT", "LIST"]), &self.target).await?;
        let connected = connected.first().and_then(guard::connected_users);
        let Some(connected) = connected else {
            debug!(target: GUARD, "CLIENT LIST does not tell which guards are in use");
            return Ok(());
        };
        let stale = guard::stale(&guards, &connected, now);
        if stale.is_empty() {
            return Ok(());
        }
        let removed = ask(link, &guard::remove(&stale), &self.target).await?;
        match removed.first() {
            Some(Answer::Integer(count)) => info!(target: GUARD, count, "stale guards removed"),
            _ => debug!(target: GUARD, "stale guards cannot be removed"),
        }
        Ok(())
    }

    /// Asks what `user` may run.
    async fn dry_run(
        &self,
        link: &mut Conversation,
        user: &[u8],
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, UpstreamError> {
        let add = |probe: &Probe, argc, batch: &mut Batch| probe.add_dry_run(user, argc, batch);
        self.try_all(link, probes, add, Verdict::of_dry_run).await
    }

    /// Has commands queued, and not run, as the user that `link` is logged in as.
    async fn queue(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, UpstreamError> {
        // Nothing may go out before it is certain that it will only be queued.
        for (command, wanted) in [("MULTI", "OK"), ("PING", "QUEUED")] {
            let answers = ask(link, &Batch::of(&[command]), &self.target).await?;
            match answers.first() {
                Some(Answer::SimpleString(text)) if text == wanted.as_bytes() => {}
                Some(Answer::Error(text)) => {
                    return Err(GuardError::from_redis(command, text).into());
                }
                _ => return Err(GuardError::Refused(format!("{command} does not work")).into()),
            }
        }
        let add = |probe: &Probe, argc, batch: &mut Batch| probe.add_itself(argc, batch);
        let verdicts =
            self.try_all(link, probes, add, |answer| Ok(Verdict::of_queueing(answer))).await?;
        ask(link, &Batch::of(&["DISCARD"]), &self.target).await?;
        Ok(verdicts)
    }

    /// Tries each probe, once more where its number of arguments was wrong.
    async fn try_all(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
        add: impl Fn(&Probe, usize, &mut Batch),
        read: impl Fn(&Answer) -> Result<Verdict, GuardError>,
    ) -> Result<Vec<Verdict>, UpstreamError> {
        let mut verdicts = vec![Verdict::Arity; probes.len()];
        for again in [false, true] {
            let open = verdicts.iter_mut().zip(probes).filter(|(v, _)| **v == Verdict::Arity);
            let open: Vec<_> = open.collect();
            let mut batch = Batch::default();
            for (_, probe) in &open {
                probe.lengths(again).for_each(|argc| add(probe, argc, &mut batch));
            }
            if batch.is_empty() {
                break;
            }
            let mut answers = ask(link, &batch, &self.target).await?.into_iter();
            for (verdict, probe) in open {
                let answers = answers.by_ref().take(probe.lengths(again).count());
                let tried = answers.map(|answer| read(&answer)).collect::<Result<Vec<_>, _>>()?;
                *verdict = Verdict::together(tried);
            }
        }
        Ok(verdicts)
    }

    fn remember(&self, name: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= Self::MOST_MADE {
            made.remove(0);
        }
        made.push(name.to_owned());
    }

    /// Removes the guards of this process, whose links must have been closed.
    pub(super) async fn remove_own(&self, configured: &Credentials) {
        let made = mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        if made.is_empty() {
            return;
        }
        let removed = tokio::time::timeout(self.target.timeout, async {
            let (stream, _) = self.target.log_in(configured).await?;
            ask(&mut Conversation::new(stream), &guard::remove(&made), &self.target).await
        });
        match removed.await {
            Ok(Ok(answers)) if matches!(answers.first(), Some(Answer::Integer(_))) => {
                debug!(target: GUARD, "the guard is removed");
            }
            _ => debug!(target: GUARD, "the guard cannot be removed; another process will do it"),
        }
    }
}

/// Whether there is anything to hold against scripts, and the operator wants it held.
pub(super) fn is_wanted(mode: GuardMode, policy: &Policy) -> bool {
    mode != GuardMode::Off && policy.rules().next().is_some()
}

/// Sends a batch and takes the answers.
async fn ask(
    link: &mut Conversation,
    batch: &Batch,
    target: &Target,
) -> Result<Vec<Answer>, UpstreamError> {
    let broken = |source| UpstreamError::Broken { endpoint: target.endpoint.clone(), source };
    link.ask(batch).await.map_err(broken)
}

/// The names of the commands among `probes` that would run.
fn open(probes: &[Probe], verdicts: &[Verdict]) -> Vec<String> {
    let open = probes.iter().zip(verdicts).filter(|(_, verdict)| !verdict.is_safe());
    let mut names: Vec<_> = open.map(|(probe, _)| probe.rule.to_string()).collect();
    names.dedup();
    names
}

/// Those that a script could call.
fn scriptable(probes: &[Probe]) -> Vec<Probe> {
    probes.iter().filter(|probe| probe.scriptable).cloned().collect()
}

/// Bytes that nobody can guess.
fn random() -> Result<[u8; Guard::RANDOM], GuardError> {
    let mut bytes = [0; Guard::RANDOM];
    getrandom::fill(&mut bytes)
        .map_err(|_| GuardError::Later("the system gives no random numbers".to_owned()))?;
    Ok(bytes)
}

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "other processes compare it with their own clocks")]
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}
