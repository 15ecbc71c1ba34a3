//! The policy: rules compiled to a set of commands.

use std::fmt;
use std::sync::Arc;

use super::decision::{Decision, Denied, RuleName};
use super::error::{MAX_NAME, PolicyError};
use super::escapes::Escapes;
use super::origin::Origin;
use super::scripts;
use crate::command::{self, IdSet, ServerCommands, ServerKind, Spec};

/// Name of the rule that refuses names and subcommands with a NUL in them.
const NUL_RULE: RuleName = RuleName::Known("name with a NUL");

/// The commands that do not exist for clients.
///
/// A policy is immutable, and its clones share memory.
#[derive(Clone)]
pub struct Policy {
    rules: Arc<Rules>,
}

#[derive(Clone, Default)]
struct Rules {
    /// The rules of the operator's list of blocked commands, in lower case.
    blocked: Vec<Arc<str>>,
    /// Commands that a command rule names, and all subcommands of such commands.
    commands: IdSet,
    /// Subcommands that a `COMMAND|SUBCOMMAND` rule names.
    subcommands: IdSet,
    /// Names in rules that the table of commands does not have, in lower case, sorted.
    named: Vec<Arc<str>>,
    /// `RESTORE`, if it is refused only because the server does not check its payload.
    payload: Option<&'static Spec>,
    /// `RESTORE`, if it is not refused only because the server checks its payload.
    unrefused: Option<&'static Spec>,
    /// Names that the operator allows although they may be new administrative commands, in lower case.
    allowed: Vec<Arc<str>>,
    /// Names in `named` that are refused because only the upstream knows them and calls them
    /// administrative, in lower case, sorted.
    new: Vec<Arc<str>>,
    /// Commands and subcommands that are granted for a while, whatever the other sets say.
    granted: IdSet,
    /// True if escapes are refused, and with them new administrative commands.
    denies_escapes: bool,
    /// Commands that do not pass by name alone: refused ones, containers, and those that the upstream
    /// lacks.
    special: IdSet,
}

impl Policy {
    /// Commands that are blocked unless the operator configures others.
    pub const DEFAULT_BLOCKED: [&str; 4] = ["FLUSHDB", "FLUSHALL", "CONFIG", "DEBUG"];

    /// Compiles rules, each `COMMAND` or `COMMAND|SUBCOMMAND` in upper or lower case, and with
    /// [`Escapes::Deny`] the rules that refuse escapes.
    ///
    /// A rule for a command blocks all its subcommands. A name that Redoubt does not know is kept, for
    /// modules and newer versions of Redis, if it begins with an ASCII letter, digit or `_` and
    /// otherwise has only these and `.`, `-` and `:`.
    ///
    /// # Errors
    /// A rule is incomplete, malformed or too long, or names a subcommand of a command that
    /// has none.
    pub fn compile<S: AsRef<str>>(blocked: &[S], escapes: Escapes) -> Result<Self, PolicyError> {
        Self::compile_allowing(blocked, escapes, &[] as &[&str])
    }

    /// As [`Policy::compile`], but the escapes that `allowed` names are not refused, and neither are
    /// commands of that name which only the upstream knows and calls administrative.
    ///
    /// # Errors
    /// Also if a name in `allowed` is blocked, or is in the table and would not be refused anyway.
    pub fn compile_allowing<S: AsRef<str>, A: AsRef<str>>(
        blocked: &[S],
        escapes: Escapes,
        allowed: &[A],
    ) -> Result<Self, PolicyError> {
        let mut rules = Rules { denies_escapes: escapes == Escapes::Deny, ..Rules::default() };
        for rule in blocked {
            rules.add(rule.as_ref())?;
            rules.blocked.push(rule.as_ref().to_ascii_lowercase().into());
        }
        for rule in allowed {
            rules.allow(rule.as_ref(), escapes)?;
        }
        let is_refused = |rules: &Rules, spec: &Spec| {
            rules.commands.contains(spec) || rules.subcommands.contains(spec)
        };
        let harmless = command::lookup_whole(Escapes::HARMLESS.as_bytes());
        let harmless = harmless.filter(|spec| !is_refused(&rules, spec));
        let payload = command::lookup(Escapes::PAYLOAD.as_bytes());
        let is_blocked = payload.is_some_and(|spec| rules.commands.contains(spec));
        for rule in escapes.denied() {
            if !rules.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(rule)) {
                rules.add(rule)?;
            }
        }
        if let Some(spec) = harmless {
            rules.commands.remove(spec);
        }
        rules.payload = payload.filter(|spec| !is_blocked && rules.commands.contains(spec));
        rules.named.sort_unstable();
        rules.named.dedup();
        rules.find_special(None);
        Ok(Self { rules: Arc::new(rules) })
    }

    /// Returns the policy for an upstream that has `commands`: it also refuses the commands that only the
    /// upstream knows and calls administrative or dangerous, unless escapes are allowed or the operator
    /// allows them by name.
    #[must_use]
    pub fn where_server_has(&self, commands: &ServerCommands) -> Self {
        let mut rules = Rules::clone(&self.rules);
        let administrative = commands.others().filter(|other| {
            rules.denies_escapes
                && other.kind == ServerKind::Administrative
                && !rules.allowed.contains(&other.name)
                && rules.named.binary_search(&other.name).is_err()
        });
        rules.new = administrative.map(|other| Arc::clone(&other.name)).collect();
        rules.new.sort_unstable();
        rules.named.extend(rules.new.iter().cloned());
        rules.named.sort_unstable();
        rules.find_special(Some(commands));
        Self { rules: Arc::new(rules) }
    }

    /// Returns the policy that refuses what this one does, except the commands `names`: `COMMAND`, with all its
    /// subcommands, or `COMMAND|SUBCOMMAND`, in upper or lower case. Names that are not refused change nothing.
    #[must_use]
    pub fn granting<S: AsRef<str>>(&self, names: &[S]) -> Self {
        let mut rules = Rules::clone(&self.rules);
        for name in names {
            let name = name.as_ref().to_ascii_lowercase();
            match command::lookup_whole(name.as_bytes()) {
                Some(spec) => {
                    for spec in std::iter::once(spec).chain(spec.subcommands) {
                        rules.granted.insert(spec);
                        if !spec.is_container() {
                            rules.special.remove(spec);
                        }
                    }
                }
                None => rules.allowed.push(name.as_str().into()),
            }
            rules.named.retain(|rule| **rule != *name);
            rules.new.retain(|rule| **rule != *name);
        }
        Self { rules: Arc::new(rules) }
    }

    /// Returns where a rule of this policy, or of the [`Scripts`](super::Scripts) beside it, comes from.
    pub fn origin_of(&self, rule: &RuleName) -> Origin {
        let rules = &self.rules;
        let names = [&**rule, rule.split('|').next().unwrap_or(rule)];
        if rules.blocked.iter().any(|blocked| names.contains(&&**blocked)) {
            Origin::Blocked
        } else if let Some(why) = names.into_iter().find_map(Escapes::why) {
            Origin::Escapes(why)
        } else if rules.new.binary_search_by(|name| (**name).cmp(rule)).is_ok() {
            Origin::Upstream
        } else if *rule == scripts::RULE {
            Origin::Scripts
        } else {
            Origin::Always
        }
    }

    /// Returns the policy for a server that checks the payload of `RESTORE` before it accepts it: there
    /// `RESTORE` is no escape. A rule of the operator's own against `RESTORE` stays.
    #[must_use]
    pub fn where_payloads_are_checked(&self) -> Self {
        let Some(spec) = self.rules.payload else { return self.clone() };
        let mut rules = Rules::clone(&self.rules);
        rules.commands.remove(spec);
        rules.special.remove(spec);
        rules.unrefused = rules.payload.take();
        Self { rules: Arc::new(rules) }
    }

    /// Returns the rule against `RESTORE` if it is not in force only because the server checks the
    /// payload. A user who cannot ask whether the server does that has to lack the command.
    pub fn unless_payloads_are_checked(&self) -> Option<RuleName> {
        self.rules.unrefused.map(|spec| RuleName::Known(spec.name))
    }

    /// Returns whether a request may run.
    ///
    /// `spec` is the result of [`lookup`](command::lookup) for `name`, or of [`Spec::subcommand`] for
    /// the word after it; `name` and `subcommand` are the first two arguments as the client sent them.
    ///
    /// A name with a NUL in it is always denied, and so is such a subcommand of a container command
    /// (see the [module](crate::policy)).
    pub fn decide(
        &self,
        spec: Option<&'static Spec>,
        name: &[u8],
        subcommand: Option<&[u8]>,
    ) -> Decision {
        self.rules.denied(spec, name, subcommand).map_or(Decision::Allow, Decision::Deny)
    }

    /// Returns true if a command of the table, or one of its subcommands, may run whatever its
    /// arguments are, and the upstream has it as far as is known. For a container the next argument
    /// decides, so callers ask [`Policy::decide`].
    #[inline]
    pub fn passes(&self, spec: &Spec) -> bool {
        !self.rules.special.contains(spec)
    }

    /// Returns the names of all rules, including the rules against escapes, in lower case: first those
    /// in the table of commands in the order of their ids, then the others.
    pub fn rules(&self) -> impl Iterator<Item = RuleName> {
        let rules = &self.rules;
        let known = command::specs().filter(|spec| {
            let of_itself = spec.command() == spec.name;
            let is_refused =
                rules.subcommands.contains(spec) || (of_itself && rules.commands.contains(spec));
            is_refused && !rules.granted.contains(spec)
        });
        let named = rules.named.iter().map(|name| RuleName::Named(Arc::clone(name)));
        known.map(|spec| RuleName::Known(spec.name)).chain(named)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

impl Rules {
    fn add(&mut self, rule: &str) -> Result<(), PolicyError> {
        let (name, word) = parse(rule)?;
        let spec = command::lookup(name.as_bytes());
        match (spec, word) {
            (Some(spec), None) => {
                self.commands.insert(spec);
                spec.subcommands.iter().for_each(|sub| self.commands.insert(sub));
            }
            (Some(spec), Some(word)) if spec.is_container() => {
                match spec.subcommand(word.as_bytes()) {
                    Some(sub) => self.subcommands.insert(sub),
                    None => self.named.push(rule.to_ascii_lowercase().into()),
                }
            }
            (Some(_), Some(_)) => {
                let command = name.to_ascii_uppercase();
                return Err(PolicyError::NoSubcommands { rule: rule.to_owned(), command });
            }
            (None, _) => self.named.push(rule.to_ascii_lowercase().into()),
        }
        Ok(())
    }

    /// Takes a name that the operator allows.
    fn allow(&mut self, rule: &str, escapes: Escapes) -> Result<(), PolicyError> {
        let (name, word) = parse(rule)?;
        let (spec, lower) = (command::lookup(name.as_bytes()), rule.to_ascii_lowercase());
        let sub = spec.and_then(|spec| spec.subcommand(word?.as_bytes()));
        let is_in = |set: &IdSet| {
            spec.is_some_and(|s| set.contains(s)) || sub.is_some_and(|s| set.contains(s))
        };
        if is_in(&self.commands)
            || is_in(&self.subcommands)
            || self.named.iter().any(|n| **n == *lower)
        {
            return Err(PolicyError::AlsoBlocked { rule: rule.to_owned() });
        }
        let is_in_table = if word.is_some() { sub.is_some() } else { spec.is_some() };
        if is_in_table && !escapes.denied().any(|escape| escape.eq_ignore_ascii_case(rule)) {
            return Err(PolicyError::NotRefused { rule: rule.to_owned() });
        }
        self.allowed.push(lower.into());
        Ok(())
    }

    /// Finds the commands that do not pass by name alone, at an upstream that has `commands` if that is
    /// known.
    fn find_special(&mut self, commands: Option<&ServerCommands>) {
        let mut special = IdSet::default();
        for spec in command::specs() {
            let is_refused = (self.commands.contains(spec) || self.subcommands.contains(spec))
                && !self.granted.contains(spec);
            let is_absent = commands.is_some_and(|commands| !commands.has(spec));
            if is_refused || is_absent || spec.is_container() {
                special.insert(spec);
            }
        }
        self.special = special;
    }

    fn denied(&self, spec: Option<&Spec>, name: &[u8], word: Option<&[u8]>) -> Option<Denied> {
        // A caller that found no subcommand may have dropped the container as well. Looking it up again
        // keeps such a mistake from opening what is blocked.
        let Some(spec) = spec.or_else(|| command::lookup(name)) else {
            return self.unknown_denied(name, word);
        };
        let word = word.filter(|_| spec.is_container());
        let Some(word) = word else { return self.known_denied(spec) };
        match spec.subcommand(word) {
            Some(sub) if self.granted.contains(sub) => None,
            Some(sub) => self.known_denied(spec).or_else(|| self.known_denied(sub)),
            None => self.known_denied(spec).or_else(|| self.new_word_denied(spec, word)),
        }
    }

    /// Returns the denial of a command in the table, by one bit test.
    fn known_denied(&self, spec: &Spec) -> Option<Denied> {
        if self.granted.contains(spec) {
            None
        } else if self.commands.contains(spec) {
            Some(Denied::command(RuleName::Known(spec.command())))
        } else if self.subcommands.contains(spec) {
            Some(Denied::subcommand(RuleName::Known(spec.name)))
        } else {
            None
        }
    }

    /// Returns the denial of a container of the table with a subcommand that the table does not have.
    fn new_word_denied(&self, container: &Spec, word: &[u8]) -> Option<Denied> {
        if word.contains(&0) {
            return Some(Denied::subcommand(NUL_RULE));
        }
        self.find(container.name.as_bytes(), Some(word)).map(Denied::subcommand)
    }

    /// Returns the denial of a command that the table does not have.
    fn unknown_denied(&self, name: &[u8], word: Option<&[u8]>) -> Option<Denied> {
        if name.contains(&0) {
            return Some(Denied::command(NUL_RULE));
        }
        // No command's name contains a bar, so such a request can only imitate a rule.
        if self.named.is_empty() || name.contains(&b'|') {
            return None;
        }
        if let Some(rule) = self.find(name, None) {
            return Some(Denied::command(rule));
        }
        // It is unknown whether a module's command is a container, so a NUL in the word may be data;
        // the part before the NUL is what Redis might run.
        let word = word?.split(|byte| *byte == 0).next()?;
        self.find(name, Some(word)).map(Denied::subcommand)
    }

    /// Finds the rule `name` or `name|word` among the names that the table does not have.
    fn find(&self, name: &[u8], word: Option<&[u8]>) -> Option<RuleName> {
        let found = self.named.binary_search_by(|rule| {
            let bar: &[u8] = if word.is_some() { b"|" } else { b"" };
            let sent = name.iter().chain(bar).chain(word.unwrap_or_default());
            rule.bytes().cmp(sent.map(u8::to_ascii_lowercase))
        });
        self.named.get(found.ok()?).map(|rule| RuleName::Named(Arc::clone(rule)))
    }
}

/// Splits a rule into its names and checks their form.
fn parse(rule: &str) -> Result<(&str, Option<&str>), PolicyError> {
    if rule.len() > MAX_NAME {
        return Err(PolicyError::TooLong { len: rule.len() });
    }
    let (name, word) = match rule.split_once('|') {
        Some((name, word)) => (name, Some(word)),
        None => (rule, None),
    };
    if name.is_empty() || word.is_some_and(str::is_empty) {
        return Err(PolicyError::Incomplete { rule: rule.to_owned() });
    }
    if !is_name(name) || !word.is_none_or(is_name) {
        return Err(PolicyError::Malformed { rule: rule.to_owned() });
    }
    Ok((name, word))
}

/// Returns true if `text` can be the name of a command. Signs at its start belong to Redis's ACL rules;
/// they are rejected because otherwise such rules would be taken for the names of unknown commands and
/// block nothing.
fn is_name(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denies(policy: &Policy, name: &str, word: Option<&str>) -> bool {
        let spec = command::lookup(name.as_bytes());
        let decided = policy.decide(spec, name.as_bytes(), word.map(str::as_bytes));
        matches!(decided, Decision::Deny(_))
    }

    #[test]
    fn a_grant_opens_one_command_and_no_other() {
        let policy = Policy::compile(&["FLUSHALL", "CONFIG", "FT.DROP"], Escapes::Deny).unwrap();
        let open = policy.granting(&["FLUSHALL", "config|get", "ft.drop", "ping"]);
        let rules: Vec<String> = open.rules().map(|rule| rule.to_string()).collect();
        for (name, word, is_denied) in [
            ("flushall", None, false),
            ("FlushAll", None, false),
            ("config", Some("get"), false),
            ("config", Some("set"), true),
            ("config", Some("nonsense"), true),
            ("config", None, true),
            ("ft.drop", None, false),
            ("flushdb", None, false),
            ("shutdown", None, true),
        ] {
            assert_eq!(denies(&open, name, word), is_denied, "{name} {word:?}");
        }
        assert!(denies(&policy, "flushall", None) && denies(&policy, "config", Some("get")));
        assert!(open.passes(command::lookup(b"flushall").unwrap()));
        assert!(!rules.contains(&"flushall".to_owned()) && rules.contains(&"config".to_owned()));
        let whole = policy.granting(&["CONFIG"]);
        assert!(!denies(&whole, "config", Some("set")) && !denies(&whole, "config", None));
        assert!(denies(&whole, "flushall", None));
        // A server's commands are found out after that.
        assert!(!denies(&open.where_payloads_are_checked(), "flushall", None));
    }
}
