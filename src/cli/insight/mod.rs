//! `redoubt healthcheck`, `sessions`, `stats`, `refused`, `learn`, `observed`, `grant`, `grants` and `revoke`: query
//! a running proxy and change what it grants.

mod ask;
mod grants;
mod learn;
mod observed;
mod refused;
mod sessions;
mod stats;
mod table;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redoubt::grants::Grants;
use redoubt::status::{Learned, Observed, Refused, Sessions, Stats};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::args::{self, Healthcheck, Insight};
use crate::cli::paint::Paint;
pub(crate) use ask::AskError;

/// Time limit of a health check.
const CHECK: Duration = Duration::from_secs(2);
/// Time limit of other queries; the proxy itself waits up to a few seconds for its workers.
const QUERY: Duration = Duration::from_secs(20);
/// Width of the output, in columns.
const WIDTH: usize = 100;

/// Prints the health in one line.
pub(crate) fn health(args: &Healthcheck) -> Result<ExitCode, AskError> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let answer = ask::ask(&args.admin, path, CHECK)?;
    let line = answer.body.lines().collect::<Vec<_>>().join("; ");
    let is_written = writeln!(io::stdout(), "{}", line.escape_debug()).is_ok();
    let is_well = is_written && answer.status.is_success();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the sessions.
pub(crate) fn sessions(args: &args::Sessions) -> Result<ExitCode, AskError> {
    let path = match &args.identity {
        Some(name) => format!("/sessions?identity={}", utf8_percent_encode(name, NON_ALPHANUMERIC)),
        None => "/sessions".to_owned(),
    };
    print::<Sessions>(&args.insight, &path, sessions::text)
}

/// Prints the statistics.
pub(crate) fn stats(args: &Insight) -> Result<ExitCode, AskError> {
    print::<Stats>(args, "/stats", stats::text)
}

/// Prints the refused commands.
pub(crate) fn refused(args: &args::Refused) -> Result<ExitCode, AskError> {
    let path = match args.since {
        Some(since) => format!("/refused?since={}", since.as_secs()),
        None => "/refused".to_owned(),
    };
    print::<Refused>(&args.insight, &path, refused::text)
}

/// Prints what is granted.
pub(crate) fn grants(args: &Insight) -> Result<ExitCode, AskError> {
    print::<Grants>(args, "/grants", grants::text)
}

/// Gives a grant, and prints what is granted then.
pub(crate) fn grant(args: &args::Grant) -> Result<ExitCode, AskError> {
    print_by::<Grants>(Method::POST, &args.insight, &grants::give(args), grants::text)
}

/// Ends a grant, and prints what is granted then.
pub(crate) fn revoke(args: &args::Revoke) -> Result<ExitCode, AskError> {
    let path = format!("/grants?number={}", args.number);
    print_by::<Grants>(Method::DELETE, &args.insight, &path, grants::text)
}

/// Prints the rule that an identity needs.
pub(crate) fn learn(args: &args::Learn) -> Result<ExitCode, AskError> {
    let mut path = format!("/learn?identity={}", encoded(&args.identity));
    if let Some(since) = args.since {
        path += &format!("&since={}", since.as_secs());
    }
    print::<Learned>(&args.insight, &path, learn::text)
}

/// Prints what the rule of an identity would refuse.
pub(crate) fn observed(args: &args::Observed) -> Result<ExitCode, AskError> {
    let path = format!("/observed?identity={}", encoded(&args.identity));
    print::<Observed>(&args.insight, &path, observed::text)
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn print<T: Serialize + DeserializeOwned>(
    args: &Insight,
    path: &str,
    text: impl FnOnce(&T, Paint) -> String,
) -> Result<ExitCode, AskError> {
    print_by(Method::GET, args, path, text)
}

fn print_by<T: Serialize + DeserializeOwned>(
    method: Method,
    args: &Insight,
    path: &str,
    text: impl FnOnce(&T, Paint) -> String,
) -> Result<ExitCode, AskError> {
    let answer: T = ask::ask_by(method, &args.admin, path, QUERY)?.read()?;
    let text = if args.json {
        serde_json::to_string_pretty(&answer).map(|text| text + "\n").unwrap_or_default()
    } else {
        text(&answer, Paint::of_stdout())
    };
    let is_written = io::stdout().write_all(text.as_bytes()).is_ok();
    Ok(if is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
