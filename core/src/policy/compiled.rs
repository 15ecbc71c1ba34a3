//! Rules, compiled to a set.

use std::fmt;
use std::sync::Arc;

use super::decision::{Decision, Denied, RuleName};
use super::error::{MAX_NAME, PolicyError};
use super::escapes::Escapes;
use crate::command::{self, Spec};

const WORDS: usize = command::COUNT.div_ceil(64);

/// What the rule is called that refuses names and subcommands with a NUL in them.
const NUL_RULE: RuleName = RuleName::Known("name with a NUL");

/// Which commands do not exist for a client.
///
/// Immutable; a clone shares it.
#[derive(Clone)]
pub struct Policy {
    rules: Arc<Rules>,
}

#[derive(Clone, Default)]
struct Rules {
    /// Specs that a command rule names, and the subcommands of such a command.
    commands: IdSet,
    /// Specs that a `COMMAND|SUBCOMMAND` rule names.
    subcommands: IdSet,
    /// Names that the table does not have, in lower case, sorted.
    named: Vec<Arc<str>>,
    /// `RESTORE`, if it is refused for what the server does not check and for nothing else.
    payload: Option<&'static Spec>,
}

impl Policy {
    /// What is blocked unless the operator says otherwise.
    pub const DEFAULT_BLOCKED: [&str; 4] = ["FLUSHDB", "FLUSHALL", "CONFIG", "DEBUG"];

    /// Compiles rules, each `COMMAND` or `COMMAND|SUBCOMMAND` in upper or lower case, and with
    /// [`Escapes::Deny`] those that refuse escapes.
    ///
    /// A rule for a command blocks all its subcommands. A name that Redoubt does not know is kept,
    /// for modules and newer versions of Redis, if it begins with an ASCII letter, digit or `_`
    /// and otherwise has only these and `.`, `-` and `:`.
    ///
    /// # Errors
    /// A rule that is incomplete, malformed or too long, or that names a subcommand of a command
    /// which has none.
    pub fn compile<S: AsRef<str>>(blocked: &[S], escapes: Escapes) -> Result<Self, PolicyError> {
        let mut rules = Rules::default();
        for rule in blocked {
            rules.add(rule.as_ref())?;
        }
        let payload = command::lookup(Escapes::PAYLOAD.as_bytes());
        let is_blocked = payload.is_some_and(|spec| rules.commands.contains(spec));
        for rule in escapes.denied() {
            rules.add(rule)?;
        }
        rules.payload = payload.filter(|spec| !is_blocked && rules.commands.contains(spec));
        rules.named.sort_unstable();
        rules.named.dedup();
        Ok(Self { rules: Arc::new(rules) })
    }

    /// The policy where the server checks the payload of `RESTORE` before it takes it: that is no
    /// escape there. A rule of the operator's own against `RESTORE` stays.
    #[must_use]
    pub fn where_payloads_are_checked(&self) -> Self {
        let Some(spec) = self.rules.payload else { return self.clone() };
        let mut rules = Rules::clone(&self.rules);
        rules.commands.remove(spec);
        rules.payload = None;
        Self { rules: Arc::new(rules) }
    }

    /// Returns whether a request may run.
    ///
    /// `spec` is what [`lookup`](command::lookup) found for `name`, or the subcommand that
    /// [`Spec::subcommand`] found for the word after it; `name` and `subcommand` are the first two
    /// arguments as the client sent them.
    ///
    /// A name with a NUL in it is always denied, and so is such a subcommand of a container
    /// command (see the [module](crate::policy)).
    pub fn decide(
        &self,
        spec: Option<&'static Spec>,
        name: &[u8],
        subcommand: Option<&[u8]>,
    ) -> Decision {
        self.rules.denied(spec, name, subcommand).map_or(Decision::Allow, Decision::Deny)
    }

    /// Returns whether a command of the table, or one of its subcommands, may run, when nothing else has to
    /// be looked at for that: for containers, whose next word decides, ask [`Policy::decide`].
    #[inline]
    pub fn passes(&self, spec: &Spec) -> bool {
        let Rules { commands, subcommands, .. } = &*self.rules;
        !spec.is_container() && !commands.contains(spec) && !subcommands.contains(spec)
    }

    /// The names of all rules, those that refuse escapes included, in lower case: those of the
    /// table in the order of their ids, then the others.
    pub fn rules(&self) -> impl Iterator<Item = RuleName> {
        let rules = &self.rules;
        let known = command::specs().filter(|spec| {
            let of_itself = spec.command() == spec.name;
            rules.subcommands.contains(spec) || (of_itself && rules.commands.contains(spec))
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

    fn denied(&self, spec: Option<&Spec>, name: &[u8], word: Option<&[u8]>) -> Option<Denied> {
        // A caller that found no subcommand may have dropped the container; it is looked up again
        // so that such a slip cannot open what is blocked.
        let Some(spec) = spec.or_else(|| command::lookup(name)) else {
            return self.unknown_denied(name, word);
        };
        let word = word.filter(|_| spec.is_container());
        let Some(word) = word else { return self.known_denied(spec) };
        match spec.subcommand(word) {
            Some(sub) => self.known_denied(spec).or_else(|| self.known_denied(sub)),
            None => self.known_denied(spec).or_else(|| self.new_word_denied(spec, word)),
        }
    }

    /// The bit test.
    fn known_denied(&self, spec: &Spec) -> Option<Denied> {
        if self.commands.contains(spec) {
            Some(Denied::command(RuleName::Known(spec.command())))
        } else if self.subcommands.contains(spec) {
            Some(Denied::subcommand(RuleName::Known(spec.name)))
        } else {
            None
        }
    }

    /// A container of the table, with a word that the table does not have.
    fn new_word_denied(&self, container: &Spec, word: &[u8]) -> Option<Denied> {
        if word.contains(&0) {
            return Some(Denied::subcommand(NUL_RULE));
        }
        self.find(container.name.as_bytes(), Some(word)).map(Denied::subcommand)
    }

    /// A command that the table does not have.
    fn unknown_denied(&self, name: &[u8], word: Option<&[u8]>) -> Option<Denied> {
        if name.contains(&0) {
            return Some(Denied::command(NUL_RULE));
        }
        // No command's own name has a bar, so such a request can only look like a rule.
        if self.named.is_empty() || name.contains(&b'|') {
            return None;
        }
        if let Some(rule) = self.find(name, None) {
            return Some(Denied::command(rule));
        }
        // Whether a module's command is a container is not known, so a NUL in the word may be
        // data; what stands before it is what Redis might run.
        let word = word?.split(|byte| *byte == 0).next()?;
        self.find(name, Some(word)).map(Denied::subcommand)
    }

    /// The rule `name` or `name|word` among those that the table does not have.
    fn find(&self, name: &[u8], word: Option<&[u8]>) -> Option<RuleName> {
        let found = self.named.binary_search_by(|rule| {
            let bar: &[u8] = if word.is_some() { b"|" } else { b"" };
            let sent = name.iter().chain(bar).chain(word.unwrap_or_default());
            rule.bytes().cmp(sent.map(u8::to_ascii_lowercase))
        });
        self.named.get(found.ok()?).map(|rule| RuleName::Named(Arc::clone(rule)))
    }
}

/// A set of spec ids.
#[derive(Clone, Default)]
struct IdSet([u64; WORDS]);

impl IdSet {
    fn insert(&mut self, spec: &Spec) {
        let (word, bit) = place(spec);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn remove(&mut self, spec: &Spec) {
        let (word, bit) = place(spec);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    fn contains(&self, spec: &Spec) -> bool {
        let (word, bit) = place(spec);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(spec: &Spec) -> (usize, u64) {
    (usize::from(spec.id >> 6), 1 << (spec.id & 63))
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

/// Returns whether `text` can be a command's name. Signs at its start are those of Redis's ACL rules,
/// which would otherwise pass for the names of unknown commands and block nothing.
fn is_name(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}
