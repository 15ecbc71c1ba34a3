//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use redoubt::config::Endpoint;
use redoubt_core::command::Version;

/// An authenticating, command-filtering proxy for Redis.
#[derive(Debug, Parser)]
#[command(name = "redoubt", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy until SIGTERM or SIGINT
    Serve(Config),
    /// Check the configuration and print what is in effect, secrets masked
    Check(Config),
    /// Look at the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Tell what becomes of a command, and why; needs no Redis. Ends with 1 if it is refused
    Explain(Explain),
    /// Check that a running deployment is closed; harmless to a Redis that is not
    Verify(Verify),
    /// Ask a running proxy whether it is ready; ends with 0 if it is and 1 if not
    Healthcheck(Healthcheck),
    /// List the sessions of a running proxy
    Sessions(Insight),
    /// Tell how a running proxy is, and what it has done
    Stats(Insight),
    /// Start a Redis and the proxy before it, show that it is secure, and serve until Ctrl-C
    Demo,
    /// Print what a shell completes commands and options with
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one for each command
    Man {
        /// Where redoubt.1 and the other pages are to be; made if it is not there
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// What to do with an audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check the hash chain; exits with 0 only if it is whole
    Verify {
        /// The files of the log, the oldest first
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Say it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The configuration file; not needed when the environment says enough
    #[arg(long = "config", value_name = "FILE", env = "REDOUBT_CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

/// Where the admin port of a running proxy is.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) config: Config,
    /// Where the admin port is; then no configuration is read
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: Option<Endpoint>,
}

/// What a running proxy is asked.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    pub(crate) admin: Admin,
    /// Ask whether it lives, not whether it is ready
    #[arg(long)]
    pub(crate) live: bool,
}

/// What a running proxy is to tell, and how.
#[derive(Debug, Args)]
pub(crate) struct Insight {
    #[command(flatten)]
    pub(crate) admin: Admin,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is to be explained, and how.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) config: Config,
    /// As for a client that has not authenticated
    #[arg(long)]
    pub(crate) unauthenticated: bool,
    /// With a Redis of this version, such as 7.0; a new one is assumed otherwise
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) redis: Option<Version>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The command: one string as typed in redis-cli, or its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// What is to be verified.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Where clients connect: redis://[user]:[password]@host:port, or rediss:// in TLS. The password is better given in
    /// REDOUBT_PASSWORD or REDOUBT_PASSWORD_FILE, as everybody on the machine can see arguments
    pub(crate) url: String,
    /// An address at which nobody must get through, such as that of Redis from outside
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) public: Vec<String>,
    /// The admin port, which must not be there at the hosts of --public
    #[arg(long, value_name = "PORT", default_value_t = 6390)]
    pub(crate) admin_port: u16,
    /// Where Redis itself is: it must not answer here, or not without a password of its own. It is
    /// sent the clients' password, to see that it does not take it; rediss://HOST:PORT for TLS
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) direct: Vec<String>,
    /// A PEM file of the CAs to trust in TLS, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A PEM file of a certificate to show in TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// A PEM file of its key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The most that a name, a connection or a reply may take, such as 2s or 500ms; the whole may take
    /// thirty times as long
    #[arg(long, default_value = "2s", value_parser = timeout)]
    pub(crate) timeout: Duration,
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "expected a version such as 7.0.15".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&time) => {
            Ok(time)
        }
        _ => Err("expected a time from 1ms to 60s".to_owned()),
    }
}
