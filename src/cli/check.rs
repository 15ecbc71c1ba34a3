//! `redoubt check`: prints the settings in effect as a configuration file, with a note at each
//! value that is not the default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};

use redoubt::accept::open_files_needed;
use redoubt::config::{Environment, Settings};

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
    for (key, line) in lines(&settings.to_toml()) {
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
    out
}

/// Returns the lines of a file that [`Settings::to_toml`] has written, with the full names of their
/// keys.
fn lines(text: &str) -> impl Iterator<Item = (Option<String>, String)> {
    let mut section = String::new();
    text.lines().map(move |line| {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        // A line that is not TOML by itself is part of a longer value.
        let key = line.split_once(" = ").filter(|_| toml::from_str::<toml::Table>(line).is_ok());
        (key.map(|(key, _)| format!("{section}{key}")), line.to_owned())
    })
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
