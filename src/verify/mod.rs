//! `redoubt verify`: whether a running deployment is closed, found out as a client would.
//!
//! It may be pointed at a production Redis that is wide open: nothing is sent that changes data,
//! settings or the server where it gets through. See [`harmless`]. All that stays behind there is
//! one script in Redis's cache of scripts, and lines in the logs of slow and of refused commands.
//!
//! Invariants: no password is in what is printed; every wait is bounded, and so are all together.

mod commands;
mod harmless;
mod limit;
mod outcome;
mod places;
mod report;
mod strangers;
mod wire;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use redoubt::config::{Endpoint, UpstreamUrl, UrlProblem};
use secrecy::SecretString;

use self::limit::Limit;
pub(crate) use self::outcome::Findings;
pub(crate) use self::places::Places;
pub(crate) use self::report::text;
use self::wire::{Network, Target, told};
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
    #[error(
        "no password, and one is asked for: set REDOUBT_PASSWORD, or write \
         redis://:password@host:port"
    )]
    NoPassword,
    #[error("{0:?} is no address of the form host:port")]
    Address(String),
    #[error("no connections can be made")]
    Network(#[source] io::Error),
    #[error("{endpoint} cannot be reached")]
    Unreachable { endpoint: Endpoint, source: io::Error },
    #[error("{0} accepts connections but does not answer in time")]
    Silent(Endpoint),
    #[error(
        "{0} closes connections without a reply: it may speak TLS or something else than Redis, or \
         have locked this address out"
    )]
    Closes(Endpoint),
    #[error("{endpoint} does not speak Redis; it says {told}")]
    NotRedis { endpoint: Endpoint, told: String },
    #[error("standard output cannot be written to")]
    Output(#[source] io::Error),
}

impl VerifyError {
    /// Whether the arguments are to blame.
    pub(crate) fn is_wrong_use(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Tls | Self::NoPassword | Self::Address(_))
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
    let endpoint = Endpoint { host: url.host, port: url.port };
    let places = Places {
        public: endpoints(&args.public)?,
        admin_port: args.admin_port,
        direct: endpoints(&args.direct)?,
    };
    let findings = look(&endpoint, url.user, password, &places, args.timeout)?;
    let text = if args.json {
        report::json(&endpoint, &findings)
    } else {
        format!("{endpoint}\n\n{}", report::text(&findings))
    };
    writeln!(io::stdout().lock(), "{text}").map_err(VerifyError::Output)?;
    Ok(if findings.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes all checks of what is at `endpoint`, and of `places`. `timeout` bounds every step.
pub(crate) fn look(
    endpoint: &Endpoint,
    user: Option<String>,
    password: Option<SecretString>,
    places: &Places,
    timeout: Duration,
) -> Result<Findings, VerifyError> {
    let network = Network::new(Limit::new(timeout)).map_err(VerifyError::Network)?;
    let endpoint = endpoint.clone();
    let mut target = Target { endpoint, user, password, open: false, network };
    meet(&mut target)?;
    Ok(Findings(vec![
        strangers::run(&target),
        strangers::password(&target),
        commands::run(&target),
        places::run(&target, places),
    ]))
}

/// Finds out whether Redis is spoken there at all, and whether it asks for a password.
fn meet(target: &mut Target) -> Result<(), VerifyError> {
    let endpoint = || target.endpoint.clone();
    let mut wire = target
        .connect()
        .map_err(|source| VerifyError::Unreachable { endpoint: endpoint(), source })?;
    match wire.ask(&["PING"]) {
        Ok(reply) if reply == "+PONG" => target.open = true,
        Ok(reply) if reply.starts_with('-') => {
            if target.password.is_none() {
                return Err(VerifyError::NoPassword);
            }
        }
        Ok(reply) => {
            return Err(VerifyError::NotRedis { endpoint: endpoint(), told: told(&Ok(reply)) });
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(VerifyError::Silent(endpoint()));
        }
        Err(_) => return Err(VerifyError::Closes(endpoint())),
    }
    Ok(())
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
