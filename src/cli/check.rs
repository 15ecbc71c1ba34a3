//! `redoubt check`: prints the settings in effect as a configuration file, with a note at each
//! value that is not the default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};

use redoubt::accept::open_files_needed;
use redoubt::config::{Environment, IdentityMode, IdentitySettings, Settings};
use redoubt::control::{EffectiveRule, effective_rules};

use crate::cli::paint::Paint;

/// Keys that have no default.
const NO_DEFAULT: [&str; 2] = ["client.password", "upstream.url"];

/// Prints `settings` with masked secrets, and their warnings on standard error.
pub(crate) fn run(settings: &Settings) -> io::Result<()> {
    let paint = Paint::of_stderr();
    for warning in &settings.warnings {
        writeln!(io::stderr(), "redoubt: {} {warning}", paint.yellow("warning:"))?;
    }
    io::stdout().write_all(text(settings, Paint::of_stdout()).as_bytes())
}

fn text(settings: &Settings, paint: Paint) -> String {
    let defaults = defaults();
    let warnings = match settings.warnings.len() {
        0 => "no warnings".to_owned(),
        1 => "1 warning, on standard error".to_owned(),
        count => format!("{count} warnings, on standard error"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let head = [
        format!("# Redoubt {version}: the configuration is valid; {warnings}."),
        "# These settings are in effect. Secrets are masked; a note gives the default where it differs."
            .to_owned(),
        format!("# Up to {} files are open at a time (ulimit -n).", open_files_needed(settings)),
    ];
    let mut out = format!("{}\n\n", head.map(|line| paint.dim(&line)).join("\n"));
    let mut rules = rules(settings);
    let mut notes = Vec::new();
    for (key, line) in lines(&settings.to_toml()) {
        // An empty line ends the table.
        if line.is_empty() {
            add(&mut notes, &mut out, paint);
        }
        if let Some(found) = table(&line).and_then(|name| rules.remove(name)) {
            notes = found;
        }
        let default = key.as_ref().and_then(|key| defaults.get(key));
        let line = match (value(&line), default.and_then(|line| value(line))) {
            _ if line.starts_with('[') => paint.bold(&line),
            (Some(value), Some(default)) if value == default => paint.dim(&line),
            (Some(_), Some(default)) => {
                format!("{line} {}", paint.dim(&format!("# default: {default}")))
            }
            _ => line,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{line}");
    }
    add(&mut notes, &mut out, paint);
    out
}

/// Adds `notes` as comments, and empties them.
fn add(notes: &mut Vec<String>, out: &mut String, paint: Paint) {
    for note in notes.drain(..) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", paint.dim(&format!("# {note}")));
    }
}

/// Returns what each identity may do in effect, by the names of their tables.
fn rules(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    // The settings have been checked, so the block list compiles.
    let rules = effective_rules(settings).unwrap_or_default();
    let identities = settings.identities.iter().zip(rules);
    identities
        .map(|(identity, rule)| {
            (format!("identities.{}", identity.name), effective(identity, &rule))
        })
        .collect()
}

/// Returns what an identity may do in effect, in sentences of one line each.
fn effective(identity: &IdentitySettings, rule: &EffectiveRule) -> Vec<String> {
    let mut notes = Vec::new();
    if !identity.is_on {
        notes.push("Nobody can log in: acl_file switches this user off.".to_owned());
        return notes;
    }
    if identity.mode == IdentityMode::Observe {
        notes.push(format!(
            "mode = \"observe\": all commands that policy does not refuse are served; what the rule would refuse is \
             recorded (redoubt observed {}).",
            identity.name
        ));
    }
    match rule {
        EffectiveRule::Guard { words, with_databases } => {
            let which = match with_databases {
                Some(_) => {
                    ", where the server has no rights to databases (+select only if acl allows SELECT)"
                }
                None => "",
            };
            notes.push(format!("Effective rule{which}: {words}"));
            notes.extend(
                with_databases.iter().map(|words| {
                    format!("Effective rule, where it has (Valkey from 9.1 on): {words}")
                }),
            );
        }
        EffectiveRule::UpstreamUser(user) => notes.push(format!(
            "Effective rule: that of the Redis user {user:?}, since policy.guard has Redoubt make no guard."
        )),
        EffectiveRule::NoUser => notes.push(
            "Sessions are refused: policy.guard has Redoubt make no guard, and upstream_user cannot take its place."
                .to_owned(),
        ),
    }
    notes
}

/// Returns the lines of a file that [`Settings::to_toml`] has written, with the full names of their
/// keys.
fn lines(text: &str) -> impl Iterator<Item = (Option<String>, String)> {
    let mut section = String::new();
    text.lines().map(move |line| {
        if let Some(name) = table(line) {
            section = format!("{name}.");
        }
        // A line that is not TOML by itself is part of a longer value.
        let key = line.split_once(" = ").filter(|_| toml::from_str::<toml::Table>(line).is_ok());
        (key.map(|(key, _)| format!("{section}{key}")), line.to_owned())
    })
}

/// Returns the name of the table that the line begins.
fn table(line: &str) -> Option<&str> {
    line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
}

/// Returns the text after the equals sign; `None` if the line has a note already.
fn value(line: &str) -> Option<&str> {
    line.split_once(" = ").map(|(_, value)| value).filter(|value| !value.contains(" # "))
}

/// Returns the lines of a minimal configuration, by their keys.
fn defaults() -> BTreeMap<String, String> {
    let environment = Environment::from_lookup(|name| match name {
        "REDIS_PASSWORD" => Some(OsString::from("r".repeat(Settings::STRONG_PASSWORD))),
        "REDOUBT_PASSWORD" => Some(OsString::from("c".repeat(Settings::STRONG_PASSWORD))),
        "REDOUBT_UPSTREAM" => Some(OsString::from("redis://localhost")),
        _ => None,
    });
    let Ok(settings) = Settings::load(None, &environment) else { return BTreeMap::new() };
    let text = settings.to_toml();
    let lines = lines(&text).filter_map(|(key, line)| Some((key?, line)));
    lines.filter(|(key, _)| !NO_DEFAULT.contains(&key.as_str())).collect()
}
