//! `redoubt verify`: whether a running deployment is closed, found out as a client would.
//!
//! It may be pointed at a production Redis that is wide open: nothing is sent that changes data,
//! settings or the server where it gets through. See [`harmless`]. All that stays behind there is
//! two scripts in Redis's cache of scripts, and lines in the logs of slow and of refused commands.
//!
//! Invariants: no password is in what is printed; every wait is bounded, and so are all together.

mod commands;
mod encrypted;
mod harmless;
mod limit;
mod outcome;
mod places;
mod report;
mod scripts;
mod strangers;
mod tls;
mod wire;

use std::error::Error as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use redoubt::config::{Endpoint, PasswordProblem, UpstreamUrl, UrlProblem, read_password};
use secrecy::SecretString;

use self::limit::Limit;
pub(crate) use self::outcome::Findings;
use self::outcome::told;
pub(crate) use self::places::Places;
pub(crate) use self::report::text;
use self::tls::{Files, Tls};
use self::wire::{Network, Target};
use crate::cli::args;

/// The variable that holds the password, so that it is not in the list of processes.
const PASSWORD: &str = "REDOUBT_PASSWORD";
/// The variable that names a file with it.
const PASSWORD_FILE: &str = "REDOUBT_PASSWORD_FILE";

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("URL: {0}")]
    Url(#[from] UrlProblem),
    #[error("--ca, --cert and --key are for rediss:// addresses")]
    NoTls,
    #[error("{0}")]
    Tls(String),
    #[error(
        "no password, and one is asked for: set REDOUBT_PASSWORD or REDOUBT_PASSWORD_FILE, or write \
         redis://:password@host:port"
    )]
    NoPassword,
    #[error("REDOUBT_PASSWORD_FILE: {0}")]
    PasswordFile(PasswordProblem),
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
    /// Returns whether the arguments are to blame.
    pub(crate) fn is_wrong_use(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::NoTls
                | Self::Tls(_)
                | Self::NoPassword
                | Self::PasswordFile(_)
                | Self::Address(_)
        )
    }
}

/// Makes all checks and reports them; the exit code says whether all hold.
pub(crate) fn run(args: &args::Verify) -> Result<ExitCode, VerifyError> {
    let url = UpstreamUrl::parse(&args.url)?;
    let places = Places {
        public: args.public.iter().map(|text| endpoint(text)).collect::<Result<_, _>>()?,
        admin_port: args.admin_port,
        direct: args.direct.iter().map(|text| redis(text)).collect::<Result<_, _>>()?,
    };
    let tls = url.tls || places.direct.iter().any(|(_, encrypted)| *encrypted);
    let whom = Whom {
        endpoint: Endpoint { host: url.host, port: url.port },
        user: url.user,
        password: match url.password {
            Some(password) => Some(password),
            None => given_password()?,
        },
        encrypted: url.tls,
        tls: tls_of(args, tls)?,
    };
    let endpoint = whom.endpoint.clone();
    let findings = look(whom, &places, args.timeout)?;
    let text = if args.json {
        report::json(&endpoint, &findings)
    } else {
        format!("{endpoint}\n\n{}", report::text(&findings))
    };
    writeln!(io::stdout().lock(), "{text}").map_err(VerifyError::Output)?;
    Ok(if findings.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The password that the environment gives, or the file that it names.
fn given_password() -> Result<Option<SecretString>, VerifyError> {
    if let Some(text) = std::env::var(PASSWORD).ok().filter(|text| !text.is_empty()) {
        return Ok(Some(text.into()));
    }
    match std::env::var_os(PASSWORD_FILE).filter(|path| !path.is_empty()) {
        Some(path) => {
            let password = read_password(Path::new(&path), true);
            password.map(Some).map_err(VerifyError::PasswordFile)
        }
        None => Ok(None),
    }
}

/// How TLS is spoken, if it is.
fn tls_of(args: &args::Verify, spoken: bool) -> Result<Option<Tls>, VerifyError> {
    let files = Files { ca: args.ca.clone(), identity: args.cert.clone().zip(args.key.clone()) };
    if !spoken {
        let is_given = files.ca.is_some() || files.identity.is_some();
        return if is_given { Err(VerifyError::NoTls) } else { Ok(None) };
    }
    Tls::new(files).map(Some).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        // The library speaks of the keys of a configuration file; here they are options.
        let text = format!("{error}{cause}")
            .replace("upstream.tls_ca", "--ca")
            .replace("upstream.tls_certificate", "--cert")
            .replace("upstream.tls_key", "--key");
        VerifyError::Tls(text)
    })
}

/// Who is looked at, and as whom.
pub(crate) struct Whom {
    pub(crate) endpoint: Endpoint,
    /// `None`: `AUTH` is given the password alone.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// Whether it is spoken to in TLS.
    pub(crate) encrypted: bool,
    /// How TLS is spoken, where it is.
    pub(crate) tls: Option<Tls>,
}

/// Makes all checks of `whom`, and of `places`. `timeout` bounds every step.
pub(crate) fn look(
    whom: Whom,
    places: &Places,
    timeout: Duration,
) -> Result<Findings, VerifyError> {
    let network = Network::new(Limit::new(timeout)).map_err(VerifyError::Network)?;
    let Whom { endpoint, user, password, encrypted, tls } = whom;
    let mut target = Target { endpoint, user, password, open: false, network, encrypted, tls };
    if let Some(findings) = meet(&mut target)? {
        return Ok(findings);
    }
    let mut sections = vec![strangers::run(&target), strangers::password(&target)];
    sections
        .extend(target.tls.as_ref().filter(|_| encrypted).map(|tls| encrypted::run(&target, tls)));
    sections.extend([commands::run(&target), places::run(&target, places)]);
    Ok(Findings(sections))
}

/// Finds out whether Redis is spoken there at all, and whether it asks for a password. If TLS is not,
/// that is all there is to find.
fn meet(target: &mut Target) -> Result<Option<Findings>, VerifyError> {
    let endpoint = target.endpoint.clone();
    let unreachable = |source| VerifyError::Unreachable { endpoint: endpoint.clone(), source };
    let mut wire = match &target.tls {
        Some(tls) if target.encrypted => {
            match target.network.connect_tls(&endpoint, &tls.client).map_err(unreachable)? {
                Ok(wire) => wire,
                Err(error) => return Ok(Some(encrypted::broken(error))),
            }
        }
        _ => target.connect().map_err(unreachable)?,
    };
    match wire.ask(&["PING"]) {
        Ok(reply) if reply == "+PONG" => target.open = true,
        Ok(reply) if reply.starts_with('-') => {
            if target.password.is_none() {
                return Err(VerifyError::NoPassword);
            }
        }
        Ok(reply) => {
            return Err(VerifyError::NotRedis { endpoint, told: told(&Ok(reply)) });
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(VerifyError::Silent(endpoint));
        }
        // A server that wants a certificate may say so only now.
        Err(error) if target.encrypted => return Ok(Some(encrypted::broken(error))),
        Err(_) => return Err(VerifyError::Closes(endpoint)),
    }
    Ok(None)
}

/// `HOST:PORT`.
fn endpoint(text: &str) -> Result<Endpoint, VerifyError> {
    match UpstreamUrl::parse(&format!("redis://{text}")) {
        // Something before an @ would be a password that was put in the wrong place.
        Ok(url) if !text.contains('@') => Ok(Endpoint { host: url.host, port: url.port }),
        _ if text.contains('@') => Err(VerifyError::Address("(with an @)".to_owned())),
        _ => Err(VerifyError::Address(text.to_owned())),
    }
}

/// The same, or `rediss://HOST:PORT` where that is spoken in TLS.
fn redis(text: &str) -> Result<(Endpoint, bool), VerifyError> {
    match text.strip_prefix("rediss://") {
        Some(text) => Ok((endpoint(text)?, true)),
        None => Ok((endpoint(text)?, false)),
    }
}
