//! `redoubt explain`: shows what happens to a command, and why: without a Redis, or with what the
//! upstream says of its commands.
//!
//! The decision comes from the same code that decides in a session; this module only describes it.

mod compat;
mod identity;
mod report;
mod verdict;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use bytes::BytesMut;
use redoubt::config::{ConfigError, Environment, IdentitySettings, Settings, Sharing};
use redoubt::control::{AskError, RulesError, ServerFacts, ask_upstream, dry_run};
use redoubt_core::auth::{DEFAULT_USER, Identity, IdentityId};
use redoubt_core::command::Version;
use redoubt_core::resp::{Parsed, Request, RequestLimits, RequestParser, encode_command};
use redoubt_core::session::{
    self, CompatKey, Decision, Known, PendingReplies, Rules, State, classify,
};
use redoubt_core::upstream::{Credentials, Databases, Dialect};
use secrecy::{ExposeSecret, SecretString};

use self::verdict::Verdict;
use crate::cli::args;

/// The version of a Redis that has all commands of the table.
const NEW: Version = Version::new(u16::MAX, 0, 0);

/// The reason why a command cannot be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error("the upstream cannot be asked")]
    Upstream(#[from] AskError),
    #[error("no identity is called {name:?}; {known}")]
    NoIdentity { name: String, known: String },
    #[error("no random bytes")]
    Random,
    #[error("no command: the text is empty or its quotes are unbalanced")]
    NoCommand,
    #[error("internal error: the login with the configured password failed")]
    Login,
    #[error("cannot open a connection")]
    Runtime(#[source] io::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Explains the command. The exit code is 0 if it is allowed, 1 if not.
pub(crate) fn run(args: &args::Explain) -> Result<ExitCode, ExplainError> {
    let plan = Plan::load(args)?;
    let request = request(&args.command)?;
    let verdict = decide(&plan, &request, args.unauthenticated)?;
    let text = if args.json { report::json(&verdict) } else { report::text(&verdict) };
    writeln!(io::stdout().lock(), "{text}").map_err(ExplainError::Output)?;
    Ok(if verdict.allowed == Some(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a decision depends on.
struct Plan {
    settings: Settings,
    facts: ServerFacts,
    /// `true` if the facts are the upstream's own.
    is_asked: bool,
    /// The name that the client has logged in as; `None` if the arguments give none.
    name: Option<String>,
}

impl Plan {
    /// Reads the configuration; returns the defaults if neither a file nor a variable sets
    /// anything.
    fn load(args: &args::Explain) -> Result<Self, ExplainError> {
        let ours = |name: &OsString| {
            ["REDOUBT_", "REDIS_"].iter().any(|own| name.as_bytes().starts_with(own.as_bytes()))
        };
        let file = args.config.file.as_deref();
        let is_configured = file.is_some() || std::env::vars_os().any(|(name, _)| ours(&name));
        let environment = if is_configured {
            Environment::of_process()
        } else {
            made_up().map_err(|_| ExplainError::Random)?
        };
        let settings = Settings::load(file, &environment)?;
        if let Some(name) = &args.identity {
            identity::exists(&settings, name)?;
        }
        let facts = if args.upstream {
            runtime()?.block_on(ask_upstream(&settings))?
        } else {
            let version = args.redis.unwrap_or(NEW);
            let dialect = Dialect::of("redis", version);
            ServerFacts { version: Some(version), dialect, commands: None, parameters: None }
        };
        Ok(Self { settings, facts, is_asked: args.upstream, name: args.identity.clone() })
    }

    /// Returns the identity with rights of its own that the client has logged in as; `None` for that of `[client]`.
    fn identity(&self) -> Option<&IdentitySettings> {
        let name = self.name.as_ref()?;
        self.settings.identities.iter().find(|identity| identity.name == *name)
    }

    /// Returns what the client logs in with, which nobody else sees.
    fn login(&self) -> (&str, SecretString) {
        if let Some(identity) = self.identity() {
            let own = identity.password.as_ref().map(|(password, _)| password.clone());
            return (&identity.name, own.unwrap_or_else(|| SecretString::from(DEFAULT_USER)));
        }
        match &self.settings.client {
            Some(client) => {
                (client.user.as_deref().unwrap_or(DEFAULT_USER), client.password.clone())
            }
            None => (DEFAULT_USER, SecretString::from(DEFAULT_USER)),
        }
    }

    /// Returns the rules that workers have after links have reported the version.
    fn rules(&self) -> Result<Rules, RulesError> {
        let upstream = &self.settings.upstream;
        let (user, password) = self.login();
        let identity = Identity::new(Some(user), &password);
        let credentials =
            Credentials { user: upstream.user.clone(), password: upstream.password.clone() };
        let name = self.identity().map(|identity| identity.name.as_str());
        let rules = redoubt::control::rules(&self.settings, identity, &credentials, name)?;
        Ok(self.facts.apply_to(&rules))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, ExplainError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ExplainError::Runtime)
}

/// Returns the minimal settings, if nothing is configured: an upstream, to which nothing is sent,
/// and random passwords.
fn made_up() -> Result<Environment, getrandom::Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let password = hex::encode(random);
    Ok(Environment::from_lookup(|name| match name {
        "REDIS_PASSWORD" | "REDOUBT_PASSWORD" => Some(OsString::from(&password)),
        "REDOUBT_UPSTREAM" => Some(OsString::from("redis://127.0.0.1:6379")),
        _ => None,
    }))
}

/// Returns the request: a single string is split as redis-cli and Redis split a line; several
/// strings are the arguments.
fn request(command: &[OsString]) -> Result<BytesMut, ExplainError> {
    let mut request = BytesMut::new();
    if let [line] = command {
        let mut input = line.as_bytes().to_vec();
        input.extend_from_slice(b"\r\n");
        let mut parser = RequestParser::new();
        // A line that begins with `*` would be parsed as an array.
        let line_only = !input.starts_with(b"*");
        match parser.parse(&input, &RequestLimits::AUTHENTICATED) {
            Ok(Parsed::Request { len }) if len == input.len() && line_only => {
                encode_command(parser.request(&input).args(), &mut request);
            }
            _ => return Err(ExplainError::NoCommand),
        }
    } else {
        encode_command(command.iter().map(|arg| arg.as_bytes()), &mut request);
    }
    Ok(request)
}

fn decide(plan: &Plan, input: &[u8], unauthenticated: bool) -> Result<Verdict, ExplainError> {
    let rules = plan.rules()?;
    let upstream = &plan.settings.upstream;
    let mut state = State::new(upstream.sharing == Sharing::Off);
    if !unauthenticated {
        let (user, password) = plan.login();
        let mut login = BytesMut::new();
        let words: [&[u8]; 3] = [b"AUTH", user.as_bytes(), password.expose_secret().as_bytes()];
        encode_command(words, &mut login);
        let mut parser = RequestParser::new();
        parser.parse(&login, &RequestLimits::AUTHENTICATED).map_err(|_| ExplainError::Login)?;
        let login = parser.request(&login);
        if let Decision::Special(login) = decision(&rules, &state, &login, plan) {
            state.apply(login.change);
        }
        if !state.is_authenticated() {
            return Err(ExplainError::Login);
        }
    }
    let mut parser = RequestParser::new();
    match parser.parse(input, &RequestLimits::AUTHENTICATED) {
        Ok(Parsed::Request { .. }) => {}
        _ => return Err(ExplainError::NoCommand),
    }
    let request = parser.request(input);
    let decision = decision(&rules, &state, &request, plan);
    let spec = classify(&request);
    let mut verdict = Verdict::new(&decision, spec, &request, (&plan.settings, &rules));
    if let Some(key) = CompatKey::of(&request, spec).filter(|_| !unauthenticated) {
        compat::amend(&mut verdict, &decision, key, (&plan.settings, &rules, plan.is_asked));
    }
    verdict.identity.clone_from(&plan.name);
    if let Some(identity) = plan.identity() {
        if identity::is_open(&verdict, &decision, spec, identity) {
            let answer = match plan.is_asked {
                true => {
                    let words: Vec<_> = request.args().collect();
                    Some(runtime()?.block_on(dry_run(&plan.settings, identity, &words))?)
                }
                false => None,
            };
            identity::amend(&mut verdict, identity, answer);
        } else {
            identity::amend_refused(&mut verdict, identity);
        }
    }
    Ok(verdict)
}

/// Returns the decision about a request in a session without pending replies.
fn decision(rules: &Rules, state: &State, request: &Request<'_>, plan: &Plan) -> Decision {
    let spec = classify(request);
    let verdict = rules.authorize(request, spec, state.is_authenticated());
    let due = PendingReplies::default();
    // As after a session has selected database 0, and before another has been. Redis decides whether an identity
    // with rights of its own may.
    let mut databases = Databases::default();
    if plan.identity().is_none() {
        databases.insert(IdentityId::FIRST, 0);
    }
    let known = Known { databases: &databases, given: &None, is_whole: true };
    session::decide(state, request, spec, verdict, (rules, &due), known)
}
