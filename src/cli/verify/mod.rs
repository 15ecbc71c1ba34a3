//! `redoubt verify`: checks as a client that a running deployment is secure.
//!
//! It may be used on a production Redis that is wide open: it sends nothing that changes data,
//! settings or the server, even where refused commands exist. See [`harmless`]. It leaves behind
//! only three scripts in Redis's script cache, and lines in the logs of slow and of refused commands.
//!
//! Invariants: no password is printed; every wait has a time limit, and so have all waits together.

mod commands;
mod encrypted;
mod harmless;
mod identities;
mod limit;
mod outcome;
mod places;
mod report;
mod scripts;
mod tls;
mod unauthenticated;
mod version;
mod wire;

use std::error::Error as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use redoubt::config::{
    Endpoint, Node, PasswordProblem, Servers, UpstreamUrl, UrlProblem, read_password,
};
use secrecy::SecretString;

use self::identities::Given;
use self::limit::Limit;
pub(crate) use self::outcome::Findings;
use self::outcome::shown;
pub(crate) use self::places::Places;
pub(crate) use self::report::text;
use self::tls::{Files, Tls};
use self::wire::{Network, Target};
use crate::cli::args;

/// The variable that holds the password, which keeps it out of the list of processes.
const PASSWORD: &str = "REDOUBT_PASSWORD";
/// The variable that names a file with the password.
const PASSWORD_FILE: &str = "REDOUBT_PASSWORD_FILE";

/// The reason why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("URL: {0}")]
    Url(#[from] UrlProblem),
    #[error("--ca, --cert and --key are for rediss:// addresses")]
    NoTls,
    #[error("{0}")]
    Tls(String),
    #[error(
        "the server requires a password: set REDOUBT_PASSWORD or REDOUBT_PASSWORD_FILE, or write \
         redis://:password@host:port"
    )]
    NoPassword,
    #[error("REDOUBT_PASSWORD_FILE: {0}")]
    PasswordFile(PasswordProblem),
    #[error("{0:?} is not an address of the form host:port or unix:///path")]
    Address(String),
    #[error("the checks are for one address; give one of a server, not a list or Sentinels")]
    OneAddress,
    // What stands after the name may be a password.
    #[error("--identity needs NAME=FILE, where FILE holds the password")]
    Identity,
    #[error("--identity {name}=…: {problem}")]
    IdentityFile { name: String, problem: PasswordProblem },
    #[error("no random numbers")]
    Random(#[source] getrandom::Error),
    #[error("cannot open connections")]
    Network(#[source] io::Error),
    #[error("{node} cannot be reached")]
    Unreachable { node: Node, source: io::Error },
    #[error("{0} accepts connections but does not answer in time")]
    Silent(Node),
    #[error(
        "{0} closes connections without a reply: it may speak TLS or something else than Redis, or \
         have locked this address out"
    )]
    Closes(Node),
    #[error("{node} does not speak Redis's protocol; it sent {shown}")]
    NotRedis { node: Node, shown: String },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl VerifyError {
    /// Returns whether the arguments are wrong.
    pub(crate) fn is_wrong_use(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::NoTls
                | Self::Tls(_)
                | Self::NoPassword
                | Self::PasswordFile(_)
                | Self::Address(_)
                | Self::OneAddress
                | Self::Identity
                | Self::IdentityFile { .. }
        )
    }
}

/// Runs all checks and prints the report; the exit code is 0 if all checks pass.
pub(crate) fn run(args: &args::Verify) -> Result<ExitCode, VerifyError> {
    let url = UpstreamUrl::parse(&args.url)?;
    let places = Places {
        public: args.public.iter().map(|text| endpoint(text)).collect::<Result<_, _>>()?,
        admin_port: args.admin_port,
        direct: args.direct.iter().map(|text| redis(text)).collect::<Result<_, _>>()?,
    };
    let tls = url.tls || places.direct.iter().any(|(_, encrypted)| *encrypted);
    let given: Vec<_> =
        args.identity.iter().map(|text| Given::parse(text)).collect::<Result<_, _>>()?;
    let password = match url.password {
        Some(password) => Some(password),
        None => given_password()?,
    };
    let (user, password) = match password {
        Some(password) => (url.user, Some(password)),
        None => identities::login(url.user, &given),
    };
    let whom = Whom {
        node: single(&url.servers)?.clone(),
        user,
        password,
        encrypted: url.tls,
        tls: tls_of(args, tls)?,
    };
    let node = whom.node.clone();
    let findings = look(whom, &places, &given, args.timeout)?;
    let text = if args.json {
        report::json(&node, &findings)
    } else {
        format!("{node}\n\n{}", report::text(&findings))
    };
    writeln!(io::stdout().lock(), "{text}").map_err(VerifyError::Output)?;
    Ok(if findings.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the password from the environment, or from the file that the environment names.
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

/// Returns the TLS clients, if an address uses TLS.
fn tls_of(args: &args::Verify, spoken: bool) -> Result<Option<Tls>, VerifyError> {
    let files = Files { ca: args.ca.clone(), identity: args.cert.clone().zip(args.key.clone()) };
    if !spoken {
        let is_given = files.ca.is_some() || files.identity.is_some();
        return if is_given { Err(VerifyError::NoTls) } else { Ok(None) };
    }
    Tls::new(files).map(Some).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        // The library's errors name keys of the configuration file; here they are options.
        let text = format!("{error}{cause}")
            .replace("upstream.tls_ca", "--ca")
            .replace("upstream.tls_certificate", "--cert")
            .replace("upstream.tls_key", "--key");
        VerifyError::Tls(text)
    })
}

/// The address to check, and the login to use.
pub(crate) struct Whom {
    pub(crate) node: Node,
    /// The user; `None` sends `AUTH` with only the password.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// `true` if the address is connected to in TLS.
    pub(crate) encrypted: bool,
    /// The TLS clients, if an address uses TLS.
    pub(crate) tls: Option<Tls>,
}

/// Runs all checks of `whom`, of `places` and of the `given` identities. `timeout` limits every step.
pub(crate) fn look(
    whom: Whom,
    places: &Places,
    given: &[Given],
    timeout: Duration,
) -> Result<Findings, VerifyError> {
    let network = Network::new(Limit::new(timeout)).map_err(VerifyError::Network)?;
    let Whom { node, user, password, encrypted, tls } = whom;
    let tls = tls.map(Rc::new);
    let mut target = Target { node, user, password, open: false, network, encrypted, tls };
    if let Some(findings) = meet(&mut target)? {
        return Ok(findings);
    }
    let mut sections = vec![unauthenticated::run(&target), unauthenticated::password(&target)];
    sections
        .extend(target.tls.as_ref().filter(|_| encrypted).map(|tls| encrypted::run(&target, tls)));
    sections.push(commands::run(&target));
    if !given.is_empty() {
        sections.push(identities::run(&target, given).map_err(VerifyError::Random)?);
    }
    sections.push(places::run(&target, places));
    Ok(Findings(sections))
}

/// Finds out whether the server speaks Redis's protocol, and whether it requires a password. If TLS
/// fails, the result is complete with that.
fn meet(target: &mut Target) -> Result<Option<Findings>, VerifyError> {
    let node = target.node.clone();
    let unreachable = |source| VerifyError::Unreachable { node: node.clone(), source };
    let mut wire = match &target.tls {
        Some(tls) if target.encrypted => {
            match target.network.connect_tls(&node, &tls.client).map_err(unreachable)? {
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
            return Err(VerifyError::NotRedis { node, shown: shown(&Ok(reply)) });
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(VerifyError::Silent(node));
        }
        // A server that requires a client certificate may reject the connection only now.
        Err(error) if target.encrypted => return Ok(Some(encrypted::broken(error))),
        Err(_) => return Err(VerifyError::Closes(node)),
    }
    Ok(None)
}

/// Returns the server, which must be a single one.
fn single(servers: &Servers) -> Result<&Node, VerifyError> {
    servers.single().ok_or(VerifyError::OneAddress)
}

/// Parses `HOST:PORT`.
fn endpoint(text: &str) -> Result<Endpoint, VerifyError> {
    match UpstreamUrl::parse(&format!("redis://{text}")) {
        // Text before an @ may be a password in the wrong place, so it is not repeated.
        Ok(UpstreamUrl { servers, .. }) if !text.contains('@') => match single(&servers)? {
            Node::Tcp(endpoint) => Ok(endpoint.clone()),
            Node::Unix(_) => Err(VerifyError::OneAddress),
        },
        _ if text.contains('@') => Err(VerifyError::Address("(with an @)".to_owned())),
        _ => Err(VerifyError::Address(text.to_owned())),
    }
}

/// Parses `HOST:PORT`, `rediss://HOST:PORT` for TLS, or `unix:///PATH`; the flag is `true` for TLS.
fn redis(text: &str) -> Result<(Node, bool), VerifyError> {
    if text.starts_with("unix://") || text.starts_with("redis+unix://") {
        return match UpstreamUrl::parse(text)? {
            UpstreamUrl { servers, user: None, password: None, .. } => {
                Ok((single(&servers)?.clone(), false))
            }
            _ => Err(VerifyError::Address("(with a login)".to_owned())),
        };
    }
    match text.strip_prefix("rediss://") {
        Some(text) => Ok((Node::Tcp(endpoint(text)?), true)),
        None => Ok((Node::Tcp(endpoint(text)?), false)),
    }
}
