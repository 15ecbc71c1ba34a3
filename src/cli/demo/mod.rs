//! `redoubt demo`: starts a real Redis with Redoubt in front of it, and runs the checks of `redoubt
//! verify`.
//!
//! Two random passwords are generated; only this process knows Redis's password.

mod redis;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use redoubt::accept::BindError;
use redoubt::config::{ConfigError, Endpoint, Environment, LogSettings, Node, Settings};
use redoubt::control::{ServeError, Server};
use redoubt::telemetry::metrics::{self, MetricsError};
use redoubt::telemetry::{self, Flush, LogError};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use self::redis::{Redis, RedisError};
use crate::cli::paint::Paint;
use crate::cli::signals;
use crate::cli::verify::{self, Findings, Places, VerifyError, Whom};

/// The address where Redoubt listens if the port is free.
const LISTEN: &str = "127.0.0.1:6380";
/// The address otherwise: the system chooses the port.
const LISTEN_ELSEWHERE: &str = "127.0.0.1:0";
/// The address of the admin port: the system chooses a free port.
const ADMIN: &str = "127.0.0.1:0";
/// Time limit of a step of a check.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The reason why the demo failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no random bytes for a password")]
    Random(#[source] getrandom::Error),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the server has no address")]
    NoAddress,
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the server's thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("the server's thread panicked")]
    Panicked,
    #[error("cannot record metrics")]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot run the checks")]
    Verify(#[from] VerifyError),
    #[error("a check failed, so this would not be secure")]
    Insecure,
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Runs the demo and serves until SIGINT or SIGTERM. Redis has ended when this function returns.
pub(crate) fn run() -> Result<(), DemoError> {
    let stop = CancellationToken::new();
    // Ending at once would leave Redis running, so a second signal waits too.
    signals::cancel(&stop, || {}).map_err(DemoError::Signals)?;
    let upstream = random_password().map_err(DemoError::Random)?;
    let client = random_password().map_err(DemoError::Random)?;
    let redis = Redis::start(&upstream)?;
    metrics::install()?;
    let server = bind(&redis, &upstream, &client)?;
    let demo = Demo {
        listen: *server.local_addrs().first().ok_or(DemoError::NoAddress)?,
        admin: server.admin_addr().ok_or(DemoError::NoAddress)?,
        redis: &redis,
        password: client,
    };

    let stopping = stop.clone();
    let serving = thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || server.run(stopping))
        .map_err(DemoError::Thread)?;
    let shown = demo.show();
    if shown.is_err() {
        stop.cancel();
    }
    let served = serving.join().map_err(|_| DemoError::Panicked)?;
    let _flush = shown?;
    Ok(served?)
}

/// Binds the server in front of `redis`, configured by environment variables like a container.
fn bind(
    redis: &Redis,
    upstream: &SecretString,
    client: &SecretString,
) -> Result<Server, DemoError> {
    let settings = |listen: &str| {
        let environment = Environment::from_lookup(|name| match name {
            "REDIS_PASSWORD" => Some(OsString::from(upstream.expose_secret())),
            "REDOUBT_PASSWORD" => Some(OsString::from(client.expose_secret())),
            "REDOUBT_ADMIN_LISTEN" => Some(OsString::from(ADMIN)),
            "REDOUBT_LISTEN" => Some(OsString::from(listen)),
            "REDOUBT_UPSTREAM" => Some(OsString::from(format!("redis://{}", redis.address()))),
            _ => None,
        });
        Settings::load(None, &environment)
    };
    match Server::bind(&settings(LISTEN)?) {
        Ok(server) => Ok(server),
        Err(_) => Ok(Server::bind(&settings(LISTEN_ELSEWHERE)?)?),
    }
}

/// The running demo.
struct Demo<'a> {
    listen: SocketAddr,
    admin: SocketAddr,
    redis: &'a Redis,
    /// The clients' password.
    password: SecretString,
}

impl Demo<'_> {
    /// Runs the checks, prints their results and how to connect, and starts the log.
    fn show(&self) -> Result<Flush, DemoError> {
        let paint = Paint::of_stdout();
        let out = &mut io::stdout().lock();
        let (listen, redis) = (self.listen, self.redis);
        let heading = paint.bold(&format!("Redoubt {}", env!("CARGO_PKG_VERSION")));
        let before = format!("before {} on {}", redis.version(), redis.address());
        print(out, &format!("{heading} on {listen}, {before}\n"))?;
        let findings = self.verify()?;
        print(out, &verify::text(&findings))?;
        print(out, "")?;
        if !findings.hold() {
            return Err(DemoError::Insecure);
        }
        let (password, port) = (self.password.expose_secret(), listen.port());
        let mut line = |what: &str, text: &str| {
            print(out, &format!("  {} {text}", paint.dim(&format!("{what:<8}"))))
        };
        line("clients", &paint.bold(&format!("redis://default:{password}@{listen}")))?;
        line("shell", &format!("REDISCLI_AUTH={password} redis-cli -p {port}"))?;
        let admin = self.admin;
        line("admin", &format!("curl http://{admin}/readyz http://{admin}/metrics"))?;
        // The program may not be in the PATH, so the line shows the name it was started with.
        let program = std::env::args_os().next().unwrap_or_else(|| "redoubt".into());
        let program = program.display();
        line("insight", &format!("{program} sessions --admin {admin}"))?;
        line("outside", "both listen on 127.0.0.1 only; yours is for your network to close")?;
        // The log starts only now, so that its lines do not mix with the lines above.
        let flush = telemetry::init(&LogSettings::default())?;
        print(out, "\nSessions are logged below. Ctrl-C stops Redoubt and Redis.\n")?;
        Ok(flush)
    }

    /// Runs the checks of `redoubt verify --direct`. Checks that need a second machine are left
    /// out.
    fn verify(&self) -> Result<Findings, VerifyError> {
        let endpoint =
            |address: SocketAddr| Endpoint { host: address.ip().to_string(), port: address.port() };
        let direct = vec![(Node::Tcp(endpoint(self.redis.address())), false)];
        let places = Places { direct, ..Places::default() };
        let whom = Whom {
            node: Node::Tcp(endpoint(self.listen)),
            user: None,
            password: Some(self.password.clone()),
            encrypted: false,
            tls: None,
        };
        verify::look(whom, &places, &[], TIMEOUT)
    }
}

fn print(out: &mut impl Write, line: &str) -> Result<(), DemoError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(DemoError::Output)
}

/// Returns 256 random bits in hexadecimal.
fn random_password() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(SecretString::from(hex::encode(bytes)))
}
