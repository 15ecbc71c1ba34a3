//! `redoubt healthcheck`, `sessions` and `stats`: what a running proxy says of itself.

mod ask;
mod sessions;
mod stats;
mod table;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use redoubt::status::{Sessions, Stats};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::args::{Healthcheck, Insight};
use crate::cli::paint::Paint;
pub(crate) use ask::AskError;

/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(2);
/// How long all else may take; the proxy itself waits for its workers a while.
const TELL: Duration = Duration::from_secs(20);
/// Columns of a terminal that are used.
const WIDTH: usize = 100;

/// Says in one line how it is.
pub(crate) fn health(args: &Healthcheck) -> Result<ExitCode, AskError> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let answer = ask::ask(&args.admin, path, CHECK)?;
    let line = answer.body.lines().collect::<Vec<_>>().join("; ");
    let is_said = writeln!(io::stdout(), "{}", line.escape_debug()).is_ok();
    let is_well = is_said && answer.status.is_success();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints who is connected.
pub(crate) fn sessions(args: &Insight) -> Result<ExitCode, AskError> {
    print::<Sessions>(args, "/sessions", sessions::text)
}

/// Prints how it is and what it has done.
pub(crate) fn stats(args: &Insight) -> Result<ExitCode, AskError> {
    print::<Stats>(args, "/stats", stats::text)
}

fn print<T: Serialize + DeserializeOwned>(
    args: &Insight,
    path: &str,
    text: impl FnOnce(&T, Paint) -> String,
) -> Result<ExitCode, AskError> {
    let told: T = ask::ask(&args.admin, path, TELL)?.read()?;
    let text = if args.json {
        serde_json::to_string_pretty(&told).map(|text| text + "\n").unwrap_or_default()
    } else {
        text(&told, Paint::of_stdout())
    };
    let is_said = io::stdout().write_all(text.as_bytes()).is_ok();
    Ok(if is_said { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
