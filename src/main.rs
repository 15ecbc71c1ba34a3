//! The `redoubt` program: arguments, configuration, logging, exit codes.
//!
//! It exits with 0 after a requested stop, 1 if it could not do its work, and 2 if the arguments or
//! the configuration are wrong.

mod cli;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use redoubt::config::{ConfigError, Environment, Settings};
use redoubt::reload::Reloads;
use redoubt::telemetry;

use self::cli::args::{Audit, Cli, Command, Config};
use self::cli::{check, demo, explain, insight, pages, serve, verify};

/// The exit code for a configuration that cannot be used; clap exits with the same for wrong
/// arguments.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(config) => match load(&config) {
            Ok(settings) => serve(&settings, config),
            Err(error) => fail(&error, ExitCode::from(WRONG_CONFIGURATION)),
        },
        Command::Check(config) => match load(&config) {
            Ok(settings) => match check::run(&settings) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error, ExitCode::FAILURE),
            },
            Err(error) => fail(&error, ExitCode::from(WRONG_CONFIGURATION)),
        },
        Command::Audit(Audit::Verify { files, json }) => verify_audit(&files, json),
        Command::Explain(args) => match explain::run(&args) {
            Ok(code) => code,
            Err(error) => fail(&error, ExitCode::from(WRONG_CONFIGURATION)),
        },
        Command::Verify(args) => match verify::run(&args) {
            Ok(code) => code,
            Err(error) if error.is_wrong_use() => fail(&error, ExitCode::from(WRONG_CONFIGURATION)),
            Err(error) => fail(&error, ExitCode::FAILURE),
        },
        Command::Healthcheck(args) => report_outcome(insight::health(&args)),
        Command::Sessions(args) => report_outcome(insight::sessions(&args)),
        Command::Stats(args) => report_outcome(insight::stats(&args)),
        Command::Refused(args) => report_outcome(insight::refused(&args)),
        Command::Grant(args) => report_outcome(insight::grant(&args)),
        Command::Grants(args) => report_outcome(insight::grants(&args)),
        Command::Revoke(args) => report_outcome(insight::revoke(&args)),
        Command::Learn(args) => report_outcome(insight::learn(&args)),
        Command::Observed(args) => report_outcome(insight::observed(&args)),
        Command::Demo => match demo::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, ExitCode::FAILURE),
        },
        Command::Completions { shell } => written(pages::completions(shell)),
        Command::Man { directory } => written(pages::manual(directory.as_deref())),
    }
}

fn report_outcome(outcome: Result<ExitCode, insight::AskError>) -> ExitCode {
    outcome.unwrap_or_else(|error| fail(&error, ExitCode::FAILURE))
}

fn written(outcome: Result<(), pages::PageError>) -> ExitCode {
    outcome.map_or_else(|error| fail(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

fn load(config: &Config) -> Result<Settings, ConfigError> {
    Settings::load(config.file.as_deref(), &Environment::of_process())
}

fn serve(settings: &Settings, config: Config) -> ExitCode {
    let reloads = Reloads::from(move || load(&config));
    let served = telemetry::init(&settings.log).map_err(serve::Failure::from);
    match served.and_then(|_flush| serve::run(settings, reloads)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn verify_audit(files: &[PathBuf], json: bool) -> ExitCode {
    let report = match redoubt::audit::verify(files) {
        Ok(report) => report,
        Err(error) => return fail(&error, ExitCode::FAILURE),
    };
    let text = match (&report.broken, json) {
        (_, true) => serde_json::to_string(&report).unwrap_or_default(),
        (Some((file, line, problem)), _) => {
            format!("{file}:{line}: {problem}; the {} lines before it are valid", report.lines)
        }
        (None, _) => {
            let mut text = match report.lines {
                0 => "no lines".to_owned(),
                lines => format!("{lines} lines, all valid"),
            };
            if !report.from_start && report.lines > 0 {
                text.push_str("; the first continues an earlier file");
            }
            if !report.end_recorded {
                text.push_str("; there is no record of where the last file ended (its .head)");
            }
            text
        }
    };
    let is_written = writeln!(io::stdout(), "{text}").is_ok();
    // A log without lines and without a record proves nothing.
    let is_empty = report.lines == 0 && !report.end_recorded;
    if is_written && report.broken.is_none() && !is_empty {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints `error` with its causes, and returns `code`.
fn fail(error: &dyn Error, code: ExitCode) -> ExitCode {
    let mut line = format!("redoubt: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    telemetry::say(line);
    code
}
