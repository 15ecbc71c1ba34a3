//! `[policy]`: which commands are refused, and how that is enforced in scripts.

use std::sync::Arc;

use redoubt_core::policy::{Escapes, Pins, Policy, PolicyError, Scripts};

use super::super::declare::{Form, choice, list, settings};
use super::super::error::Problem;

/// Most pinned scripts, and most pinned libraries.
const MAX_PINNED: usize = 10_000;
/// Most bytes of the name of a library.
const MAX_LIBRARY: usize = 128;

settings! {
    /// Which commands are refused, and how that is enforced in scripts.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PolicySettings in "policy" {
        /// Commands that are refused: COMMAND or COMMAND|SUBCOMMAND, in upper or lower case. An empty list
        /// blocks nothing.
        blocked: Vec<String> = rules("blocked")
            .default(Policy::DEFAULT_BLOCKED.map(str::to_owned).to_vec())
            .example(r#"["FLUSHALL", "CONFIG|SET"]"#)
            .live();

        /// Commands that would get round `blocked` or take the server over, such as ACL, MODULE,
        /// REPLICAOF, SHUTDOWN, MIGRATE, CLIENT KILL and SCRIPT FLUSH: "deny" refuses them, "allow"
        /// serves them. docs/differences.md lists them.
        escapes: Escapes =
            choice([("deny", Escapes::Deny), ("allow", Escapes::Allow)]).default(Escapes::Deny).live();

        /// Escapes that are served all the same, each by its name as `redoubt explain` reports it:
        /// COMMAND or COMMAND|SUBCOMMAND. Also commands that Redoubt does not know and that are refused
        /// because the server calls them administrative or dangerous.
        allow: Vec<String> =
            rules("allow").default(Vec::new()).example(r#"["SLOWLOG|RESET"]"#).live();

        /// How Redis itself is made to refuse the same commands, also inside scripts, functions and
        /// MULTI:
        /// - "auto": connections log in as an ACL user that Redoubt makes for this. Where it cannot
        ///   make one, it audits the configured user; if that user may run refused commands,
        ///   scripts and functions are refused.
        /// - "require": by that ACL user; without it Redoubt serves no client.
        /// - "audit": as "auto", but Redoubt never changes the ACL of Redis.
        /// - "off": not at all. A script may run refused commands.
        guard: GuardMode = choice([
            ("auto", GuardMode::Auto),
            ("require", GuardMode::Require),
            ("audit", GuardMode::Audit),
            ("off", GuardMode::Off),
        ])
        .default(GuardMode::Auto);

        /// Which scripts and functions run:
        /// - "guarded": all, with the rights that `guard` leaves them.
        /// - "read-only": only those that cannot write (the _RO forms).
        /// - "pinned": only those that `pinned_scripts` and `pinned_libraries` list.
        /// - "deny": none.
        ///
        /// Clients can load function libraries only with "guarded". A pinned script may have at
        /// most 1 MiB. A client's own script can bring the server down, whatever its rights
        /// (SECURITY.md); where clients are not trusted with that, use "pinned".
        scripts: ScriptMode = choice([
            ("guarded", ScriptMode::Guarded),
            ("read-only", ScriptMode::ReadOnly),
            ("pinned", ScriptMode::Pinned),
            ("deny", ScriptMode::Deny),
        ])
        .default(ScriptMode::Guarded)
        .live();

        /// For "pinned": SHA-1 digests of scripts (sha1sum FILE), at most 10000.
        pinned_scripts: Vec<String> = pinned_scripts()
            .default(Vec::new())
            .example(r#"["e0e1f9fabfc9d4800c877a703b823ac0578ff8db"]"#)
            .live();

        /// For "pinned": names of function libraries, at most 10000. Redoubt asks Redis every 5
        /// seconds for the functions of these libraries.
        pinned_libraries: Vec<String> =
            pinned_libraries().default(Vec::new()).example(r#"["mylib"]"#).live();
    }
}

/// How Redis itself is made to refuse what the policy refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GuardMode {
    /// Links log in as a restricted ACL user. Where none can be made, the configured user is
    /// audited; if that user may run refused commands, scripts and functions are refused.
    #[default]
    Auto,
    /// Links log in as a restricted ACL user; without it no client is served.
    Require,
    /// The configured user is audited, and Redis's ACL is never changed.
    Audit,
    /// Nothing is enforced by Redis: a script may run what the policy refuses.
    Off,
}

/// Which scripts and functions run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ScriptMode {
    /// All scripts and functions, with the rights of the guard.
    #[default]
    Guarded,
    /// Scripts and functions that cannot write: the `_RO` forms.
    ReadOnly,
    /// Scripts and functions that the configuration lists.
    Pinned,
    /// No scripts and functions.
    Deny,
}

impl PolicySettings {
    /// Returns the compiled rules.
    ///
    /// # Errors
    /// A rule does not compile; settings that were read contain no such rule.
    pub fn compile(&self) -> Result<Policy, PolicyError> {
        Policy::compile_allowing(&self.blocked, self.escapes, &self.allow)
    }

    /// Returns which of `FLUSHDB` and `FLUSHALL` is not refused, if one is not.
    pub(crate) fn open_flush(&self) -> Option<&'static str> {
        let is_open =
            |name: &&str| !self.blocked.iter().any(|rule| rule.eq_ignore_ascii_case(name));
        ["FLUSHDB", "FLUSHALL"].into_iter().find(is_open)
    }

    /// Returns which scripts and functions run, as far as the settings determine it: only Redis
    /// knows the functions of the pinned libraries.
    pub fn script_rules(&self) -> Scripts {
        match self.scripts {
            ScriptMode::Guarded => Scripts::All,
            ScriptMode::ReadOnly => Scripts::ReadOnly,
            ScriptMode::Deny => Scripts::Deny,
            ScriptMode::Pinned => {
                let digests = self.pinned_scripts.iter();
                let scripts = digests.filter_map(|hex| Pins::digest(hex.as_bytes())).collect();
                Scripts::Pinned(Pins { scripts: Arc::new(scripts), ..Pins::default() })
            }
        }
    }
}

/// Rules, each of which is known to compile, so that a start cannot fail on them later.
fn rules(key: &'static str) -> Form<Vec<String>> {
    let expects = "a list of COMMAND or COMMAND|SUBCOMMAND, each in quotes";
    let parse = move |rule: &str| match Policy::compile(&[rule], Escapes::Allow) {
        Ok(_) => Ok(rule.to_owned()),
        Err(PolicyError::NoSubcommands { command, .. }) => {
            Err(Some(Problem::NoSubcommands { command, key }))
        }
        Err(_) => Err(None),
    };
    list(expects, usize::MAX, parse, String::clone)
}

fn pinned_scripts() -> Form<Vec<String>> {
    let expects = format!(
        "a list of up to {MAX_PINNED} SHA-1 digests, 40 hexadecimal digits each, in quotes"
    );
    let parse = |text: &str| {
        let is_sha1 = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_sha1.then(|| text.to_ascii_lowercase()).ok_or(None)
    };
    list(expects, MAX_PINNED, parse, String::clone)
}

fn pinned_libraries() -> Form<Vec<String>> {
    let expects =
        format!("a list of up to {MAX_PINNED} names of function libraries, each in quotes");
    let parse = |text: &str| {
        let is_name = (1..=MAX_LIBRARY).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then(|| text.to_owned()).ok_or(None)
    };
    list(expects, MAX_PINNED, parse, String::clone)
}
