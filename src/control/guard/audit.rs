//! Tests what a user may run, without running it.

use super::{GuardProvisioner, Outcome, ask};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::auth::DEFAULT_USER;
use redoubt_core::command::Version;
use redoubt_core::policy::{Policy, RuleName};
use redoubt_core::upstream::guard::{Answer, Batch, GuardError, Probe, Verdict, advice, is_typed};

/// The user that is audited, and the policy to audit for.
pub(super) struct Audited<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) policy: &'a Policy,
    pub(super) version: Option<Version>,
}

impl GuardProvisioner {
    /// Tests what a script could call as the configured user.
    pub(super) async fn audit(
        &self,
        link: &mut Conversation,
        probes: Vec<Probe>,
        of: Audited<'_>,
        reason: Option<String>,
    ) -> Result<Outcome, UpstreamError> {
        let rights = match self.rights(link).await {
            Ok((_, _, rights)) => Some(rights),
            Err(UpstreamError::Guard(error)) if error.is_answer() => None,
            Err(error) => return Err(error),
        };
        let Audited { user, policy, version } = of;
        let mut verdicts =
            match self.dry_run(link, user.unwrap_or(DEFAULT_USER).as_bytes(), &probes).await {
                Err(UpstreamError::Guard(error)) if error.is_answer() => {
                    match self.queue(link, &probes).await {
                        Err(UpstreamError::Guard(error)) if error.is_answer() => {
                            vec![Verdict::Allowed; probes.len()]
                        }
                        verdicts => verdicts?,
                    }
                }
                verdicts => verdicts?,
            };
        let takes = |rule: &str| rights.as_ref().is_some_and(|rights| rights.take_away(rule));
        for (verdict, probe) in verdicts.iter_mut().zip(&probes) {
            // The user's rules say what a refusal of the placeholders hides.
            if *verdict == Verdict::Unclear && !probe.rule.contains('|') && takes(&probe.rule) {
                *verdict = Verdict::Refused;
            }
        }
        let mut open = open(&probes, &verdicts);
        let renamed = self.renamed(link, policy, rights.as_ref()).await?;
        let has_renamed = !renamed.is_empty();
        open.extend(renamed);
        if open.is_empty() {
            return Ok(Outcome::Audited);
        }
        // A rule for a command that the table does not have applies only if Redis has the command.
        let exists = |rule: &RuleName| {
            let mut tried = probes.iter().zip(&verdicts);
            tried.any(|(probe, verdict)| probe.rule == *rule && *verdict != Verdict::Missing)
        };
        let rules: Vec<_> = policy.rules().collect();
        let rules = rules.iter().filter(|rule| is_typed(rule, version).unwrap_or(exists(rule)));
        let rules: Vec<&str> = rules.map(|rule| &**rule).collect();
        let advice = advice(user, rights.as_ref(), &rules);
        Ok(Outcome::Unguarded { reason, open, has_renamed, advice })
    }

    /// Asks Redis with ACL DRYRUN what `user` may run.
    pub(super) async fn dry_run(
        &self,
        link: &mut Conversation,
        user: &[u8],
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, UpstreamError> {
        let add = |probe: &Probe, argc, batch: &mut Batch| probe.add_dry_run(user, argc, batch);
        self.try_all(link, probes, add, Verdict::of_dry_run).await
    }

    /// Lets Redis queue commands, without running them, as the user that `link` is logged in as.
    pub(super) async fn queue(
        &self,
        link: &mut Conversation,
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, UpstreamError> {
        // The probes are sent only when it is certain that Redis will queue them and not run them.
        for (command, wanted) in [("MULTI", "OK"), ("PING", "QUEUED")] {
            let answers = ask(link, &Batch::of(&[command]), &self.target()).await?;
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
        ask(link, &Batch::of(&["DISCARD"]), &self.target()).await?;
        Ok(verdicts)
    }

    /// Tries each probe, and again with another number of arguments if the first was wrong.
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
            let mut answers = ask(link, &batch, &self.target()).await?.into_iter();
            for (verdict, probe) in open {
                let answers = answers.by_ref().take(probe.lengths(again).count());
                let tried = answers.map(|answer| read(&answer)).collect::<Result<Vec<_>, _>>()?;
                *verdict = Verdict::together(tried);
            }
        }
        Ok(verdicts)
    }
}

/// Returns the names of the commands among `probes` that would run.
pub(super) fn open(probes: &[Probe], verdicts: &[Verdict]) -> Vec<String> {
    let open = probes.iter().zip(verdicts).filter(|(_, verdict)| !verdict.is_safe());
    let mut names: Vec<_> = open.map(|(probe, _)| probe.rule.to_string()).collect();
    names.dedup();
    names
}

/// Returns the probes for commands that a script could call.
pub(super) fn scriptable(probes: &[Probe]) -> Vec<Probe> {
    probes.iter().filter(|probe| probe.scriptable).cloned().collect()
}
