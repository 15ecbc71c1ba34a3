//! `redoubt verify`: whether a running deployment is closed, found out as a client would.
//!
//! It may be pointed at a production Redis that is wide open: nothing is sent that changes data,
//! settings or the server where it gets through. See [`harmless`]. All that stays behind there is
//! one script in Redis's cache of scripts.

mod checks;
mod harmless;
mod outcome;
mod places;
mod report;
mod wire;

use std::io::{self, Write};
use std::process::ExitCode;

use redoubt::config::{Endpoint, UpstreamUrl, UrlProblem};
use secrecy::SecretString;

use self::wire::Target;
use crate::cli;

/// The variable that holds the password, so that it is not in the list of processes.
const PASSWORD: &str = "REDOUBT_PASSWORD";

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("URL: {0}")]
    Url(#[from] UrlProblem),
    #[error("rediss:// cannot be checked yet; give the address of a plain listener")]
    Tls,
    #[error("no password: set REDOUBT_PASSWORD, or write redis://:password@host:port")]
    NoPassword,
    #[error("{0:?} is no address of the form host:port")]
    Address(String),
    #[error("{endpoint} cannot be reached")]
    Unreachable { endpoint: Endpoint, source: io::Error },
    #[error("standard output cannot be written to")]
    Output(#[source] io::Error),
}

impl VerifyError {
    /// Whether the arguments are to blame.
    pub(crate) fn is_wrong_use(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Output(_))
    }
}

/// Makes all checks and reports them; the exit code says whether all hold.
pub(crate) fn run(args: &cli::Verify) -> Result<ExitCode, VerifyError> {
    let url = UpstreamUrl::parse(&args.url)?;
    if url.tls {
        return Err(VerifyError::Tls);
    }
    let given = || std::env::var(PASSWORD).ok().filter(|text| !text.is_empty());
    let password = url.password.or_else(|| given().map(SecretString::from));
    let target = Target {
        endpoint: Endpoint { host: url.host, port: url.port },
        user: url.user,
        password: password.ok_or(VerifyError::NoPassword)?,
        timeout: args.timeout,
    };
    let public = endpoints(&args.public)?;
    let direct = endpoints(&args.direct)?;
    if let Err(source) = wire::connect(&target.endpoint, target.timeout) {
        return Err(VerifyError::Unreachable { endpoint: target.endpoint, source });
    }
    let mut found = checks::run(&target);
    found.extend(places::public(&public, target.timeout));
    found.extend(places::direct(&direct, &target));
    let text = if args.json {
        report::json(&target.endpoint, &found)
    } else {
        report::text(&target.endpoint, &found)
    };
    writeln!(io::stdout().lock(), "{text}").map_err(VerifyError::Output)?;
    let holds = !found.iter().any(outcome::Check::fails);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn endpoints(given: &[String]) -> Result<Vec<Endpoint>, VerifyError> {
    let one = |text: &String| match UpstreamUrl::parse(&format!("redis://{text}")) {
        // Something before an @ would be a password that was put in the wrong place.
        Ok(url) if !text.contains('@') => Ok(Endpoint { host: url.host, port: url.port }),
        _ if text.contains('@') => Err(VerifyError::Address("(with an @)".to_owned())),
        _ => Err(VerifyError::Address(text.clone())),
    };
    given.iter().map(one).collect()
}
