//! Finds out whether a user may run the commands that the policy refuses, without running them.

use super::batch::{Answer, Batch, GuardError};
use crate::command::{self, Flag, Spec};
use crate::policy::RuleName;

/// A refused command to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The rule that refuses it.
    pub rule: RuleName,
    /// The name of the command, and of its subcommand.
    words: Vec<String>,
    /// Its number of arguments, these words included; `None` if it has to be found out.
    argc: Option<usize>,
    /// True unless scripts are known to be unable to call it. False also for `HELP` of a container,
    /// which is harmless.
    pub scriptable: bool,
}

/// Whether a user may run a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Redis refuses it.
    Refused,
    /// It would run, or no reply shows that it would not.
    Allowed,
    /// Redis refuses it for another reason than the command itself, such as its placeholder key or the
    /// database, or in words that are not understood. So it is unknown if the user may run it.
    Unclear,
    /// This Redis does not have it.
    Missing,
    /// It was checked with a number of arguments that it does not accept.
    Arity,
}

/// Returns the commands to check for `rules`; for a container, all its subcommands. Commands of
/// `CLUSTER` are left out for a Redis that is not part of a cluster, where they do nothing.
pub fn probes(rules: impl IntoIterator<Item = RuleName>, standalone: bool) -> Vec<Probe> {
    let mut probes: Vec<_> = rules.into_iter().flat_map(probes_of).collect();
    probes.retain(|probe| !standalone || probe.words.first().is_none_or(|name| name != "cluster"));
    probes
}

fn probes_of(rule: RuleName) -> Vec<Probe> {
    let (name, word) = match rule.split_once('|') {
        Some((name, word)) => (name, Some(word)),
        None => (&*rule, None),
    };
    let spec = command::lookup(name.as_bytes());
    let known = |spec: &Spec| Probe {
        rule: rule.clone(),
        words: spec.name.split('|').map(str::to_owned).collect(),
        argc: Some(usize::from(spec.arity.unsigned_abs())),
        scriptable: !spec.flags.contains(Flag::Noscript) && spec.word() != "help",
    };
    let named = || Probe {
        rule: rule.clone(),
        words: rule.split('|').map(str::to_owned).collect(),
        argc: None,
        scriptable: true,
    };
    match (spec, word) {
        (Some(spec), None) if spec.is_container() => spec.subcommands.iter().map(known).collect(),
        (Some(spec), None) => vec![known(spec)],
        (Some(spec), Some(word)) => {
            vec![spec.subcommand(word.as_bytes()).map_or_else(named, known)]
        }
        (None, _) => vec![named()],
    }
}

impl Probe {
    /// Most arguments that are tried for a command whose number of arguments is unknown.
    const MOST: usize = 8;

    /// Returns true if it is the command `name`, `COMMAND` or `COMMAND|SUBCOMMAND` in lower case, or a subcommand of it.
    pub fn is(&self, name: &str) -> bool {
        let mut words = self.words.iter().map(String::as_str);
        name.split('|').all(|word| words.next() == Some(word))
    }

    /// Returns the numbers of arguments to check it with. With `again`, the known number was wrong.
    pub fn lengths(&self, again: bool) -> std::ops::RangeInclusive<usize> {
        match self.argc.filter(|_| !again) {
            Some(argc) => argc..=argc,
            None => self.words.len()..=self.words.len().saturating_add(Self::MOST),
        }
    }

    /// Returns the command with this many arguments, name included. The arguments are placeholders.
    fn command(&self, argc: usize) -> Vec<&str> {
        let padding = std::iter::repeat("0");
        self.words.iter().map(String::as_str).chain(padding).take(argc).collect()
    }

    /// Adds an `ACL DRYRUN` of the command for `user`.
    pub fn add_dry_run(&self, user: &[u8], argc: usize, batch: &mut Batch) {
        let mut words: Vec<&[u8]> = vec![b"ACL", b"DRYRUN", user];
        words.extend(self.command(argc).into_iter().map(str::as_bytes));
        batch.add(&words);
    }

    /// Adds the command itself. The caller must send it only where Redis is known to queue it (see
    /// [`Verdict::of_queueing`]).
    pub fn add_itself(&self, argc: usize, batch: &mut Batch) {
        batch.add(&self.command(argc));
    }
}

impl Verdict {
    /// Returns the verdict in a reply to `ACL DRYRUN`.
    ///
    /// # Errors
    /// `ACL DRYRUN` does not exist (before Redis 7.0), or this user may not run it.
    pub fn of_dry_run(answer: &Answer) -> Result<Self, GuardError> {
        let what = "ACL DRYRUN";
        match answer {
            Answer::SimpleString(text) if text == b"OK" => Ok(Self::Allowed),
            Answer::BulkString(text) if is_about_the_command(&String::from_utf8_lossy(text)) => {
                Ok(Self::Refused)
            }
            Answer::BulkString(_) => Ok(Self::Unclear),
            Answer::Error(text) if text.starts_with("ERR Command '") => Ok(Self::Missing),
            Answer::Error(text) if text.starts_with("ERR wrong number of arguments") => {
                Ok(Self::Arity)
            }
            Answer::Error(text) => Err(GuardError::from_redis(what, text)),
            _ => Err(GuardError::nonsense(what)),
        }
    }

    /// Returns the verdict in the reply to a command inside `MULTI`, which Redis checks before it
    /// queues it.
    pub fn of_queueing(answer: &Answer) -> Self {
        match answer {
            Answer::Error(text) if text.starts_with("NOPERM") && is_about_the_command(text) => {
                Self::Refused
            }
            Answer::Error(text) if text.to_ascii_lowercase().starts_with("err unknown ") => {
                Self::Missing
            }
            Answer::Error(text) if text.starts_with("ERR wrong number of arguments") => Self::Arity,
            Answer::Error(_) => Self::Unclear,
            _ => Self::Allowed,
        }
    }

    /// Combines the verdicts of one command with several numbers of arguments.
    pub fn together(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::Arity;
        for verdict in verdicts {
            all = match (all, verdict) {
                (Self::Allowed, _) | (_, Self::Allowed) => return Self::Allowed,
                (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
                (Self::Arity, other) | (other, Self::Arity) => other,
                (Self::Refused, _) | (_, Self::Refused) => Self::Refused,
                (Self::Missing, Self::Missing) => Self::Missing,
            };
        }
        all
    }

    /// Returns true if the user cannot run it for certain.
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Refused | Self::Missing)
    }
}

/// Returns true if the refusal is about the command, and not about a key or a channel.
fn is_about_the_command(text: &str) -> bool {
    text.contains("permissions to run")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Escapes, Policy};

    fn of(rule: &str) -> Vec<Probe> {
        probes(Policy::compile(&[rule], Escapes::Allow).unwrap().rules(), false)
    }

    #[test]
    fn cluster_commands_are_not_checked_on_a_standalone_redis() {
        let policy =
            Policy::compile(&["CLUSTER|RESET", "CLUSTER|LATER", "FLUSHALL"], Escapes::Allow)
                .unwrap();
        assert_eq!(probes(policy.rules(), false).len(), 3);
        assert_eq!(probes(policy.rules(), true).len(), 1);
    }

    #[test]
    fn containers_are_checked_by_subcommand_and_unknown_commands_with_several_lengths() {
        let config = of("CONFIG");
        let words: Vec<_> = config.iter().map(|probe| probe.command(4).join(" ")).collect();
        assert!(words.contains(&"config set 0 0".to_owned()), "{words:?}");
        assert!(config.iter().all(|probe| !probe.scriptable));
        assert!(of("object").iter().any(|probe| probe.scriptable), "a script can call some");
        let [flushall] = &of("flushall")[..] else { panic!("one") };
        assert!(flushall.scriptable && flushall.lengths(false) == (1..=1));
        assert_eq!(flushall.lengths(true), 1..=9);
        let [kill] = &of("client|kill")[..] else { panic!("one") };
        assert_eq!(kill.command(3), ["client", "kill", "0"]);
        let [unknown] = &of("zz.custom")[..] else { panic!("one") };
        assert!(unknown.scriptable && unknown.lengths(false) == (1..=9));
        let [unknown] = &of("zz.custom|word")[..] else { panic!("one") };
        assert_eq!(unknown.lengths(false), 2..=10);
    }

    #[test]
    fn dry_run_verdicts_count_only_refusals_of_the_command() {
        let bulk = |text: &str| Verdict::of_dry_run(&Answer::BulkString(text.into()));
        let error = |text: &str| Verdict::of_dry_run(&Answer::Error(text.into()));
        let (seven, later) = (
            "This user has no permissions to run the 'flushall' command",
            "User app has no permissions to run the 'flushall' command",
        );
        assert_eq!(bulk(seven), Ok(Verdict::Refused));
        assert_eq!(bulk(later), Ok(Verdict::Refused));
        let key = "This user has no permissions to access the '0' key";
        assert_eq!(bulk(key), Ok(Verdict::Unclear));
        // Valkey from 9.0 on checks the databases of the user before the command.
        let database = "User app has no permissions to access database flushall";
        assert_eq!(bulk(database), Ok(Verdict::Unclear));
        assert_eq!(bulk("words of a later version"), Ok(Verdict::Unclear));
        let ok = Answer::SimpleString(b"OK".to_vec());
        assert_eq!(Verdict::of_dry_run(&ok), Ok(Verdict::Allowed));
        assert_eq!(error("ERR Command 'zz' not found"), Ok(Verdict::Missing));
        assert_eq!(error("ERR wrong number of arguments for 'get' command"), Ok(Verdict::Arity));
        let six = "ERR Unknown subcommand or wrong number of arguments for 'DRYRUN'. Try ACL HELP.";
        assert!(error(six).is_err());
    }

    #[test]
    fn only_a_clear_refusal_counts_as_refused_when_queueing() {
        let error = |text: &str| Verdict::of_queueing(&Answer::Error(text.into()));
        let six =
            "NOPERM this user has no permissions to run the 'flushall' command or its subcommand";
        assert_eq!(error(six), Verdict::Refused);
        let key = "NOPERM this user has no permissions to access one of the keys used as arguments";
        assert_eq!(error(key), Verdict::Unclear);
        assert_eq!(error("NOPERM No permissions to access database"), Verdict::Unclear);
        assert_eq!(error("ERR unknown command `x`, with args"), Verdict::Missing);
        assert_eq!(error("ERR Unknown subcommand 'x'. Try CLIENT HELP."), Verdict::Missing);
        assert_eq!(error("ERR wrong number of arguments for 'x' command"), Verdict::Arity);
        assert_eq!(error("ERR something else"), Verdict::Unclear);
        let queued = Answer::SimpleString(b"QUEUED".to_vec());
        assert_eq!(Verdict::of_queueing(&queued), Verdict::Allowed);
    }

    #[test]
    fn a_command_is_allowed_if_any_number_of_arguments_is() {
        use Verdict::{Allowed, Arity, Missing, Refused, Unclear};
        assert_eq!(Verdict::together([Arity, Refused, Allowed]), Allowed);
        assert_eq!(Verdict::together([Arity, Refused, Arity]), Refused);
        assert_eq!(Verdict::together([Missing, Missing]), Missing);
        assert_eq!(Verdict::together([Refused, Unclear, Arity]), Unclear);
        assert_eq!(Verdict::together([Unclear, Allowed]), Allowed);
        assert!(!Unclear.is_safe());
        assert_eq!(Verdict::together([Arity, Arity]), Arity);
        assert_eq!(Verdict::together([]), Arity);
        assert!(!Arity.is_safe() && !Allowed.is_safe() && Refused.is_safe() && Missing.is_safe());
    }
}
