//! Tries what a user may run, without running it.

use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::upstream::guard::{Answer, Batch, Guard, GuardError, Probe, Verdict};

/// Asks Redis with ACL DRYRUN what `user` may run.
pub(super) async fn dry_run(
    link: &mut Conversation,
    user: &[u8],
    probes: &[Probe],
) -> Result<Vec<Verdict>, UpstreamError> {
    let add = |probe: &Probe, argc, batch: &mut Batch| probe.add_dry_run(user, argc, batch);
    try_all(link, probes, add, Verdict::of_dry_run).await
}

/// Lets Redis queue commands, without running them, as the user that `link` is logged in as.
pub(super) async fn queue(
    link: &mut Conversation,
    probes: &[Probe],
) -> Result<Vec<Verdict>, UpstreamError> {
    // The probes are sent only when it is certain that Redis will queue them and not run them.
    for (command, wanted) in [("MULTI", "OK"), ("PING", "QUEUED")] {
        let answers = link.ask(&Batch::of(&[command])).await?;
        match answers.first() {
            Some(Answer::SimpleString(text)) if text == wanted.as_bytes() => {}
            Some(Answer::Error(text)) => {
                return Err(GuardError::from_redis(command, text).into());
            }
            _ => return Err(GuardError::Refused(format!("{command} does not work")).into()),
        }
    }
    let add = |probe: &Probe, argc, batch: &mut Batch| probe.add_itself(argc, batch);
    let verdicts = try_all(link, probes, add, |answer| Ok(Verdict::of_queueing(answer))).await?;
    link.ask(&Batch::of(&["DISCARD"])).await?;
    Ok(verdicts)
}

/// Tries each probe, and again with another number of arguments if the first was wrong.
async fn try_all(
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
        let mut answers = link.ask(&batch).await?.into_iter();
        for (verdict, probe) in open {
            let answers = answers.by_ref().take(probe.lengths(again).count());
            let tried = answers.map(|answer| read(&answer)).collect::<Result<Vec<_>, _>>()?;
            *verdict = Verdict::together(tried);
        }
    }
    Ok(verdicts)
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

/// Sends an `ACL SETUSER` of the rules at `place`.
///
/// # Errors
/// A rule is wrong, with Redis's words; or Redis does not permit this.
pub(super) async fn take(
    link: &mut Conversation,
    make: Batch,
    place: &str,
) -> Result<(), UpstreamError> {
    let answers = link.ask(&make).await?;
    match answers.first() {
        Some(Answer::Error(text)) if text.starts_with("ERR Error in ACL SETUSER") => {
            let shown: String = text.escape_debug().take(200).collect();
            Err(GuardError::Rule(format!("{place}: {shown}")).into())
        }
        _ => Ok(Guard::made("ACL SETUSER", &answers)?),
    }
}

/// Returns the probes for other commands than those of `granted`.
pub(super) fn without(probes: &[Probe], granted: &[&str]) -> Vec<Probe> {
    let is_granted = |probe: &Probe| granted.iter().any(|name| probe.is(name));
    probes.iter().filter(|probe| !is_granted(probe)).cloned().collect()
}
