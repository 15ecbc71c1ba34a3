//! Makes a guard for each identity of the configuration.
//!
//! All rights are tried on a separate user first, which holds nobody's connection. Only when those of all
//! identities have been found right are they given to the guards, each by one `ACL SETUSER`. So a rule that Redis
//! does not take changes nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tracing::{debug, info, warn};

use super::audit::{Audited, audit};
use super::provisioner::{DryRun, GRANTED};
use super::trial::{dry_run, open, queue, scriptable, take, without};
use super::{GUARD, GuardProvisioner, Outcome, Task};
use crate::config::IdentityMode;
use crate::control::identities::KnownIdentity;
use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use crate::worker::link_login::{IdentityLogin, Way};
use redoubt_core::auth::IdentityId;
use redoubt_core::command::Spec;
use redoubt_core::policy::RuleName;
use redoubt_core::session::answered;
use redoubt_core::upstream::guard::{
    Answer, Batch, Guard, GuardError, Probe, Rights, Verdict, probes,
};
use redoubt_core::upstream::{Credentials, Greeting};

/// The guards of identities. A guard is kept as long as its identity, so that its links stay.
pub(crate) type IdentityGuards = BTreeMap<IdentityId, Guard>;

/// How links of each identity log in.
pub(crate) type IdentityOutcomes = BTreeMap<IdentityId, IdentityOutcome>;

/// How links of an identity log in.
pub(crate) enum IdentityOutcome {
    /// As a guard with the identity's rights.
    Guarded {
        credentials: Credentials,
        /// What Redoubt must refuse where it answers for Redis.
        refused: Vec<&'static Spec>,
    },
    /// As the user that the operator has made for it, since there is no guard.
    Account {
        credentials: Credentials,
        /// Names of rules that Redis does not enforce in scripts.
        open: Vec<String>,
        /// `true` if Redis has a refused command under another name.
        has_renamed: bool,
    },
    /// Not at all: its sessions are refused.
    Refused(String),
}

/// The tested rights of an identity's guard.
pub(in crate::control) struct Tested {
    id: IdentityId,
    name: String,
    /// The guard's rights, and the commands that Redoubt must refuse where it answers for Redis. If there is no guard,
    /// the reason.
    rights: Result<(Rights, Vec<&'static Spec>), String>,
    /// The commands that the guard may run all the same.
    granted: Vec<String>,
}

/// What the rights of an identity are tried with.
struct Tried<'a> {
    /// The user on which they are tried.
    trial: &'a Guard,
    granted: &'a [&'a str],
    base: &'a DryRun,
    /// The commands that the guard must not run.
    probes: &'a [Probe],
    /// `true` if the server limits users to databases by itself.
    limits_databases: bool,
}

/// The commands that reach other databases than the one that is selected. Redis cannot refuse them for some
/// databases only.
const BETWEEN_DATABASES: [&str; 5] = ["-select", "-move", "-copy", "-swapdb", "-flushall"];

impl GuardProvisioner {
    /// Tries the rights of each identity of `task`. If `strict`, a rule that Redis does not take is an error; else the
    /// identity gets no guard.
    ///
    /// # Errors
    /// Redis cannot be reached, cannot answer now, or does not permit this; or a rule is wrong.
    pub(in crate::control) async fn test_identities(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        task: &Task,
        base: &DryRun,
        strict: bool,
    ) -> Result<Vec<Tested>, UpstreamError> {
        if task.identities.is_empty() {
            return Ok(Vec::new());
        }
        let trial = self.new_guard()?;
        let tested = self.test_each(link, &trial, greeting, task, base, strict).await;
        self.remove(link, trial.name()).await;
        tested
    }

    async fn test_each(
        &self,
        link: &mut Conversation,
        trial: &Guard,
        greeting: Greeting,
        task: &Task,
        base: &DryRun,
        strict: bool,
    ) -> Result<Vec<Tested>, UpstreamError> {
        let probes = probes(task.policy.rules(), greeting.standalone);
        let limits_databases = limits_databases(link, trial.name()).await?;
        let mut tested = Vec::new();
        for identity in &*task.identities {
            let name = identity.settings.name.clone();
            let granted = task.granted.of(Some(&name));
            let probes = without(&probes, &granted);
            let tried = Tried { trial, granted: &granted, base, probes: &probes, limits_databases };
            let rights = self.test(link, identity, tried).await;
            let rights = match rights {
                Ok(rights) => Ok(rights),
                Err(UpstreamError::Guard(GuardError::Rule(reason))) if !strict => Err(reason),
                // The others still have their guards.
                Err(UpstreamError::Guard(error)) if self.may_do_without(&error) => {
                    Err(error.to_string())
                }
                Err(error) => return Err(error),
            };
            let granted = granted.into_iter().map(str::to_owned).collect();
            tested.push(Tested { id: identity.id, name, rights, granted });
        }
        Ok(tested)
    }

    /// Tries the rights of one identity and returns those of its guard.
    async fn test(
        &self,
        link: &mut Conversation,
        identity: &KnownIdentity,
        tried: Tried<'_>,
    ) -> Result<(Rights, Vec<&'static Spec>), UpstreamError> {
        let Tried { trial, granted, base, probes, limits_databases } = tried;
        let settings = &identity.settings;
        let rules = base.rules();
        let asked = Rights::of_rules(&settings.acl);
        take(link, trial.make(&asked, &rules, &[]), &settings.acl_place).await?;
        let mut rights = match settings.mode {
            IdentityMode::Enforce => asked,
            IdentityMode::Observe => base.rights().clone(),
        };
        let refused = self.refused(link, trial, &rights, granted).await?;
        let everywhere = trial.make(&rights.everywhere(), &rules, granted);
        take(link, everywhere, GRANTED).await?;
        let open = open(probes, &self.verdicts(link, trial, probes).await?);
        if !open.is_empty() {
            let reason =
                format!("the guard of {} could still run {}", settings.name, open.join(", "));
            return Err(GuardError::Refused(reason).into());
        }
        if let Some(databases) = &settings.databases {
            let may_select = !limits_databases && {
                let select = self::probes([RuleName::Known("select")], true);
                self.verdicts(link, trial, &select).await? == [Verdict::Allowed]
            };
            rights = only_in(&rights, databases, limits_databases, may_select);
            take(link, trial.make(&rights, &rules, granted), &settings.acl_place).await?;
        }
        Ok((rights, refused))
    }

    /// Returns the commands that a user with `rights` may not run, of those that Redoubt answers for Redis.
    async fn refused(
        &self,
        link: &mut Conversation,
        trial: &Guard,
        rights: &Rights,
        granted: &[&str],
    ) -> Result<Vec<&'static Spec>, UpstreamError> {
        // What the policy refuses does not exist for clients, which is another answer.
        take(link, trial.make(&rights.everywhere(), &[], granted), GRANTED).await?;
        let answered: Vec<_> = answered().collect();
        let asked = answered.iter().flat_map(|spec| probes([RuleName::Known(spec.name)], false));
        let asked: Vec<_> = asked.collect();
        let verdicts = self.verdicts(link, trial, &asked).await?;
        let is_refused = |spec: &&'static Spec| {
            let mut tried = asked.iter().zip(&verdicts);
            tried.any(|(probe, verdict)| *probe.rule == *spec.name && *verdict == Verdict::Refused)
        };
        Ok(answered.into_iter().filter(is_refused).collect())
    }

    /// Returns what `user` may run of `probes`; `link` is logged in as the configured user.
    pub(super) async fn verdicts(
        &self,
        link: &mut Conversation,
        user: &Guard,
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, UpstreamError> {
        match dry_run(link, user.name().as_bytes(), probes).await {
            Err(UpstreamError::Guard(error)) if error.is_answer() => {
                // A server without ACL DRYRUN needs a connection of the user itself for the test.
                let (mut link, _) = self.target().log_in(&user.credentials()).await?;
                let tried = scriptable(probes);
                let verdicts = queue(&mut link, &tried).await?;
                let verdict = |probe: &Probe| {
                    let mut pairs = tried.iter().zip(&verdicts);
                    let found =
                        pairs.find(|(tried, _)| *tried == probe).map(|(_, verdict)| *verdict);
                    // Scripts cannot call the others, and Redoubt refuses them itself.
                    found.unwrap_or(Verdict::Refused)
                };
                Ok(probes.iter().map(verdict).collect())
            }
            verdicts => verdicts,
        }
    }

    /// Gives the guards their tested rights, and removes the guards of identities that are gone.
    ///
    /// # Errors
    /// Redis cannot be reached, or does not permit this any more.
    pub(in crate::control) async fn give_identities(
        &self,
        link: &mut Conversation,
        tested: Vec<Tested>,
        base: &DryRun,
        guards: &mut IdentityGuards,
    ) -> Result<IdentityOutcomes, UpstreamError> {
        let rules = base.rules();
        let mut outcomes = IdentityOutcomes::new();
        for Tested { id, name, rights, granted } in tested {
            let granted: Vec<_> = granted.iter().map(String::as_str).collect();
            let outcome = match rights {
                Ok((rights, refused)) => {
                    let guard = match guards.entry(id) {
                        Entry::Occupied(kept) => kept.into_mut(),
                        Entry::Vacant(place) => {
                            let guard = self.new_guard()?;
                            let user = guard.name();
                            info!(target: GUARD, identity = name, user, "guard of an identity made");
                            place.insert(guard)
                        }
                    };
                    let made = link.ask(&guard.make(&rights, &rules, &granted)).await?;
                    Guard::made("ACL SETUSER", &made)?;
                    IdentityOutcome::Guarded { credentials: guard.credentials(), refused }
                }
                Err(reason) => IdentityOutcome::Refused(reason),
            };
            outcomes.insert(id, outcome);
        }
        let is_guarded =
            |id: &IdentityId| matches!(outcomes.get(id), Some(IdentityOutcome::Guarded { .. }));
        let gone: Vec<_> = guards.keys().filter(|id| !is_guarded(id)).copied().collect();
        for guard in gone.iter().filter_map(|id| guards.remove(id)) {
            self.remove(link, guard.name()).await;
        }
        Ok(outcomes)
    }

    /// Finds out how links of the identities of `task` log in where no guard can be made, for `reason`.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub(in crate::control) async fn accounts(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        task: &Task,
        reason: Option<&str>,
    ) -> Result<IdentityOutcomes, UpstreamError> {
        let mut outcomes = IdentityOutcomes::new();
        for identity in &*task.identities {
            let outcome = match account(identity) {
                Some(_) if identity.settings.databases.is_some() => IdentityOutcome::Refused(
                    "databases are limited only where Redoubt makes the guard".to_owned(),
                ),
                Some(credentials) => self.audit_account(link, greeting, task, credentials).await?,
                None => {
                    let reason = reason.unwrap_or("policy.guard says that Redoubt makes none");
                    let name = &identity.settings.name;
                    IdentityOutcome::Refused(format!(
                        "{reason}; set identities.{name}.upstream_user and its password, or let Redoubt make guards"
                    ))
                }
            };
            outcomes.insert(identity.id, outcome);
        }
        Ok(outcomes)
    }

    async fn audit_account(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        task: &Task,
        credentials: Credentials,
    ) -> Result<IdentityOutcome, UpstreamError> {
        let mut own = match self.target().log_in(&credentials).await {
            Ok((own, _)) => own,
            Err(UpstreamError::Login(error)) => {
                return Ok(IdentityOutcome::Refused(format!("upstream_user: {error}")));
            }
            Err(error) => return Err(error),
        };
        let Task { policy, commands, .. } = task;
        let probes = scriptable(&probes(policy.rules(), greeting.standalone));
        let user = credentials.user.as_deref();
        let of = |is_own| Audited {
            user,
            is_own,
            policy,
            commands: commands.as_deref(),
            version: greeting.version,
        };
        // Redoubt's own user may know more of the identity's than that user itself.
        let audited = match audit(link, probes.clone(), of(false), None).await {
            Err(UpstreamError::Guard(error)) if error.is_answer() => {
                audit(&mut own, probes, of(true), None).await
            }
            audited => audited,
        };
        let (open, has_renamed) = match audited? {
            Outcome::Unguarded { open, has_renamed, .. } => (open, has_renamed),
            Outcome::Guarded(_) | Outcome::Audited => (Vec::new(), false),
        };
        Ok(IdentityOutcome::Account { credentials, open, has_renamed })
    }
}

/// Returns how links of identities log in where nothing has to be found out: as the users that the operator has made.
pub(crate) fn configured_logins(
    identities: &[KnownIdentity],
) -> BTreeMap<IdentityId, IdentityLogin> {
    let login = |identity: &KnownIdentity| {
        let credentials = account(identity)?;
        let refused = Vec::new();
        let way = Way::Configured;
        Some((identity.id, IdentityLogin { credentials, way, has_renamed: false, refused }))
    };
    identities.iter().filter_map(login).collect()
}

/// Returns the user that the operator has made for an identity.
fn account(identity: &KnownIdentity) -> Option<Credentials> {
    let account = identity.settings.upstream.as_ref()?;
    Some(Credentials { user: Some(account.user.clone()), password: Some(account.password.clone()) })
}

impl IdentityOutcome {
    /// Returns how links log in; `None` if the identity is refused.
    pub(crate) fn login(&self) -> Option<IdentityLogin> {
        let (credentials, way, has_renamed, refused) = match self {
            Self::Guarded { credentials, refused } => {
                (credentials, Way::Guard, false, refused.clone())
            }
            Self::Account { credentials, open, has_renamed } => {
                let way = if open.is_empty() { Way::Configured } else { Way::Open };
                (credentials, way, *has_renamed, Vec::new())
            }
            Self::Refused(_) => return None,
        };
        Some(IdentityLogin { credentials: credentials.clone(), way, has_renamed, refused })
    }

    /// Returns what of it is logged: its state, and why it is so.
    fn shown(&self) -> (&'static str, String) {
        match self {
            Self::Guarded { .. } => ("guarded", String::new()),
            Self::Account { open, .. } if open.is_empty() => ("audited", String::new()),
            Self::Account { open, .. } => ("unguarded", open.join(" ")),
            Self::Refused(reason) => ("refused", reason.clone()),
        }
    }
}

/// Logs the identities whose state is another than before.
pub(crate) fn report(
    identities: &[KnownIdentity],
    outcomes: &IdentityOutcomes,
    before: &IdentityOutcomes,
) {
    for identity in identities {
        let name = identity.settings.name.as_str();
        let Some(outcome) = outcomes.get(&identity.id) else { continue };
        let (state, why) = outcome.shown();
        if before.get(&identity.id).map(IdentityOutcome::shown) == Some((state, why.clone())) {
            continue;
        }
        match state {
            "refused" => {
                warn!(target: GUARD, identity = name, reason = why, "no guard for this identity: its sessions are refused")
            }
            "unguarded" => {
                warn!(target: GUARD, identity = name, open = why, "no guard for this identity: its scripts and functions are refused, since they could run blocked commands")
            }
            "audited" => {
                info!(target: GUARD, identity = name, "audited: the identity's upstream user may not run refused commands")
            }
            _ => debug!(target: GUARD, identity = name, "guarded"),
        }
    }
}

/// Returns `rights`, limited to `databases`: by rights of the server's own if it has these, else without the commands
/// that reach other databases. `may_select` is true if `rights` allow `SELECT`.
pub(in crate::control) fn only_in(
    rights: &Rights,
    databases: &[u32],
    limits_databases: bool,
    may_select: bool,
) -> Rights {
    let numbers: Vec<_> = databases.iter().map(u32::to_string).collect();
    if limits_databases {
        let words = ["resetdbs".to_owned(), format!("db={}", numbers.join(","))];
        return rights.with(&words, &words);
    }
    let refused = BETWEEN_DATABASES.map(str::to_owned);
    let mut words = refused.to_vec();
    if may_select {
        words.extend(numbers.iter().map(|number| format!("+select|{number}")));
    }
    rights.with(&words, &refused)
}

/// Returns whether the server limits users to databases by rights of its own, as Valkey does from 9.1 on.
pub(in crate::control) async fn limits_databases(
    link: &mut Conversation,
    trial: &str,
) -> Result<bool, UpstreamError> {
    let asked = Batch::of(&["ACL", "SETUSER", trial, "reset", "off", "resetdbs", "db=0"]);
    let answers = link.ask(&asked).await?;
    Ok(matches!(answers.first(), Some(Answer::SimpleString(text)) if text == b"OK"))
}
