//! `redoubt demo`: a real Redis, Redoubt before it, and the checks that decide whether that is secure.
//!
//! Two random passwords are made for it; Redis's own is known to this process only.

mod checks;
mod redis;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;

use redoubt::config::{ConfigError, Environment, LogSettings, Settings};
use redoubt::net::{BindError, ServeError, Server};
use redoubt::telemetry::{self, Flush, LogError};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use self::checks::Check;
use self::redis::{Redis, RedisError};
use crate::paint::Paint;
use crate::signals;

/// Where Redoubt listens if the port is free.
const LISTEN: &str = "127.0.0.1:6380";
/// Where it listens otherwise: a port of the system's choice.
const LISTEN_ELSEWHERE: &str = "127.0.0.1:0";
/// What stands for the reply to the check that one machine cannot make.
const OUTSIDE: &str = "for your network to refuse; here both listen on 127.0.0.1 only";

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no random bytes for a password")]
    Random(#[source] io::Error),
    #[error("signals cannot be handled")]
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
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("a check failed, so this would not be secure")]
    Insecure,
    #[error("standard output cannot be written to")]
    Output(#[source] io::Error),
}

/// Shows the demo and serves until SIGINT or SIGTERM. Redis is gone when this returns.
pub(crate) fn run() -> Result<(), DemoError> {
    let stop = CancellationToken::new();
    // To leave at once would leave Redis behind, so a second signal waits too.
    signals::cancel(&stop, || {}).map_err(DemoError::Signals)?;
    let upstream = random_password().map_err(DemoError::Random)?;
    let client = random_password().map_err(DemoError::Random)?;
    let redis = Redis::start(&upstream)?;
    let server = bind(&redis, &upstream, &client)?;
    let address = *server.local_addrs().first().ok_or(DemoError::NoAddress)?;

    let stopping = stop.clone();
    let serving = thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || server.run(stopping))
        .map_err(DemoError::Thread)?;
    let shown = show(&redis, address, &client);
    if shown.is_err() {
        stop.cancel();
    }
    let served = serving.join().map_err(|_| DemoError::Panicked)?;
    let _flush = shown?;
    Ok(served?)
}

/// Binds the server before `redis`, configured as a container would be: by the environment.
fn bind(
    redis: &Redis,
    upstream: &SecretString,
    client: &SecretString,
) -> Result<Server, DemoError> {
    let settings = |listen: &str| {
        let environment = Environment::from_lookup(|name| match name {
            "REDIS_PASSWORD" => Some(OsString::from(upstream.expose_secret())),
            "REDOUBT_PASSWORD" => Some(OsString::from(client.expose_secret())),
            "REDOUBT_LISTEN" => Some(OsString::from(listen)),
            "REDOUBT_ADMIN_LISTEN" => Some(OsString::from("off")),
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

/// Runs the checks, prints how to connect, and begins to log.
fn show(redis: &Redis, address: SocketAddr, client: &SecretString) -> Result<Flush, DemoError> {
    let paint = Paint::of_stdout();
    let out = &mut io::stdout().lock();
    let heading = paint.bold(&format!("Redoubt {}", env!("CARGO_PKG_VERSION")));
    print(
        out,
        &format!("{heading} on {address}, before {} on {}\n", redis.version(), redis.address()),
    )?;

    let checks = checks::run(address, client);
    for check in &checks {
        let mark = if check.holds { paint.green("✓") } else { paint.red("✗") };
        let Check { number, what, reply, .. } = check;
        print(out, &format!("  {mark} {number}. {what:<26} {}", paint.dim(reply)))?;
        if *number == 1 {
            print(out, &format!("    2. {:<26} {}", "Redis from outside", paint.dim(OUTSIDE)))?;
        }
    }
    print(out, "")?;
    if !checks.iter().all(|check| check.holds) {
        return Err(DemoError::Insecure);
    }
    let password = client.expose_secret();
    let port = address.port();
    print(
        out,
        &format!("  {}\n", paint.bold(&format!("redis://default:{password}@127.0.0.1:{port}"))),
    )?;
    print(out, &format!("  REDISCLI_AUTH={password} redis-cli -p {port}\n"))?;
    print(out, "Sessions are logged below. Ctrl-C stops Redoubt and Redis.\n")?;
    // Not before, so that the lines above stand together.
    Ok(telemetry::init(&LogSettings::default())?)
}

fn print(out: &mut impl Write, line: &str) -> Result<(), DemoError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(DemoError::Output)
}

/// 256 random bits in hexadecimal.
fn random_password() -> io::Result<SecretString> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(SecretString::from(bytes.map(|byte| format!("{byte:02x}")).concat()))
}
