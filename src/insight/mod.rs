//! `redoubt healthcheck`: what a running proxy says of itself.

mod ask;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Healthcheck;
pub(crate) use ask::AskError;

/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(2);

/// Says in one line how it is.
pub(crate) fn health(args: &Healthcheck) -> Result<ExitCode, AskError> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let answer = ask::ask(&args.admin, path, CHECK)?;
    let line = answer.body.lines().collect::<Vec<_>>().join("; ");
    let is_said = writeln!(io::stdout(), "{}", line.escape_debug()).is_ok();
    let is_well = is_said && answer.status.is_success();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
