//! `[policy]`: what nobody may run, and how that is held against scripts.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::assemble::expected;
use super::error::{ConfigError, Problem};
use super::print::{list, named};
use super::schema::{self, Given};
use super::source::Source;
use redoubt_core::policy::{Escapes, Pins, Policy, PolicyError, Scripts};
use toml::Spanned;

/// What nobody may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// Rules as `COMMAND` or `COMMAND|SUBCOMMAND`, each of which compiles.
    pub blocked: Vec<String>,
    /// What becomes of commands that would get round the block list or take the server over.
    pub escapes: Escapes,
    /// How Redis itself is made to refuse what the policy refuses.
    pub guard: GuardMode,
    /// Which scripts and functions run.
    pub scripts: ScriptGate,
    /// SHA-1 digests of scripts, 40 lower-case hexadecimal digits each.
    pub pinned_scripts: Vec<String>,
    /// Names of function libraries.
    pub pinned_libraries: Vec<String>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            blocked: Policy::DEFAULT_BLOCKED.map(str::to_owned).to_vec(),
            escapes: Escapes::default(),
            guard: GuardMode::default(),
            scripts: ScriptGate::default(),
            pinned_scripts: Vec::new(),
            pinned_libraries: Vec::new(),
        }
    }
}

/// How Redis itself is made to refuse what the policy refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GuardMode {
    /// By a restricted ACL user that links log in as; where none can be made, the configured user
    /// is audited; where that may run what is refused, scripts and functions are refused.
    #[default]
    Auto,
    /// By a restricted ACL user, without which nothing is served.
    Require,
    /// The configured user is audited, and Redis's ACL is never written to.
    Audit,
    /// Not at all: a script may run what the policy refuses.
    Off,
}

/// Which scripts and functions run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ScriptGate {
    /// All, as far as the guard lets them.
    #[default]
    Guarded,
    /// Those that cannot write: the `_RO` forms.
    ReadOnly,
    /// Those that the configuration lists.
    Pinned,
    /// None.
    Deny,
}

const ESCAPES: [(&str, Escapes); 2] = [("deny", Escapes::Deny), ("allow", Escapes::Allow)];
const GUARDS: [(&str, GuardMode); 4] = [
    ("auto", GuardMode::Auto),
    ("require", GuardMode::Require),
    ("audit", GuardMode::Audit),
    ("off", GuardMode::Off),
];
const GATES: [(&str, ScriptGate); 4] = [
    ("guarded", ScriptGate::Guarded),
    ("read-only", ScriptGate::ReadOnly),
    ("pinned", ScriptGate::Pinned),
    ("deny", ScriptGate::Deny),
];

impl PolicySettings {
    /// Most pinned scripts, and most pinned libraries.
    const MAX_PINNED: usize = 10_000;
    /// Longest name of a library.
    const MAX_LIBRARY: usize = 128;

    /// Rules are compiled here for their errors only, so that a start cannot fail on them later.
    pub(super) fn find(source: &Source<'_>, given: schema::Policy) -> Result<Self, ConfigError> {
        let default = Self::default();
        let escapes = source.one_of("policy.escapes", given.escapes, &ESCAPES)?;
        let guard = source.one_of("policy.guard", given.guard, &GUARDS)?;
        let scripts = source.one_of("policy.scripts", given.scripts, &GATES)?;
        let sha1 = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let pinned_scripts = pinned(source, "policy.pinned_scripts", given.pinned_scripts, sha1)?;
        let name = |text: &str| {
            (1..=Self::MAX_LIBRARY).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let pinned_libraries =
            pinned(source, "policy.pinned_libraries", given.pinned_libraries, name)?;
        Ok(Self {
            blocked: match given.blocked {
                Some(blocked) => rules(source, blocked.into_inner())?,
                None => default.blocked,
            },
            escapes: escapes.unwrap_or_default(),
            guard: guard.unwrap_or_default(),
            scripts: scripts.unwrap_or_default(),
            pinned_scripts: pinned_scripts.iter().map(|sha1| sha1.to_ascii_lowercase()).collect(),
            pinned_libraries,
        })
    }

    /// The rules, compiled.
    ///
    /// # Errors
    /// A rule that cannot be; settings that were read have none.
    pub fn compile(&self) -> Result<Policy, PolicyError> {
        Policy::compile(&self.blocked, self.escapes)
    }

    /// Which scripts and functions run, as far as the settings tell: which functions the pinned
    /// libraries have, only Redis knows.
    pub fn gate(&self) -> Scripts {
        match self.scripts {
            ScriptGate::Guarded => Scripts::All,
            ScriptGate::ReadOnly => Scripts::ReadOnly,
            ScriptGate::Deny => Scripts::Deny,
            ScriptGate::Pinned => {
                let digests = self.pinned_scripts.iter();
                let scripts = digests.filter_map(|hex| Pins::digest(hex.as_bytes())).collect();
                Scripts::Pinned(Pins { scripts: Arc::new(scripts), ..Pins::default() })
            }
        }
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n[policy]")?;
        writeln!(out, "blocked = {}", list(&self.blocked))?;
        writeln!(out, "escapes = {}", named(&ESCAPES, self.escapes))?;
        writeln!(out, "guard = {}", named(&GUARDS, self.guard))?;
        writeln!(out, "scripts = {}", named(&GATES, self.scripts))?;
        writeln!(out, "pinned_scripts = {}", list(&self.pinned_scripts))?;
        writeln!(out, "pinned_libraries = {}", list(&self.pinned_libraries))
    }
}

fn rules(source: &Source<'_>, blocked: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    let key = "policy.blocked";
    let compiled = blocked.into_iter().map(|rule| {
        let site = source.site(key, rule.span());
        match Policy::compile(&[rule.get_ref()], Escapes::Allow) {
            Ok(_) => Ok(rule.into_inner()),
            Err(PolicyError::NoSubcommands { command, .. }) => {
                Err(site.error(Problem::NoSubcommands(command)))
            }
            Err(_) => Err(expected(&site, key)),
        }
    });
    compiled.collect()
}

fn pinned(
    source: &Source<'_>,
    key: &'static str,
    given: Given<Vec<Spanned<String>>>,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<String>, ConfigError> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.get_ref().len() > PolicySettings::MAX_PINNED {
        return Err(expected(&source.site(key, given.span()), key));
    }
    let checked = given.into_inner().into_iter().map(|text| {
        if fits(text.get_ref()) {
            Ok(text.into_inner())
        } else {
            Err(expected(&source.site(key, text.span()), key))
        }
    });
    checked.collect()
}
