//! The command line: commands, options and help texts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use redoubt::config::Endpoint;
use redoubt::{grants, status};
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
    /// Work with the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Explain what happens to a command, and why; needs no Redis. Exits with 1 if the command is
    /// refused
    Explain(Explain),
    /// Check that a running deployment is secure; changes nothing in a Redis that is not
    Verify(Verify),
    /// Ask a running proxy whether it is ready; exits with 0 if it is and 1 if not
    Healthcheck(Healthcheck),
    /// List the sessions of a running proxy
    Sessions(Sessions),
    /// Show the state and statistics of a running proxy
    Stats(Insight),
    /// List the commands that a running proxy has refused, by program
    Refused(Refused),
    /// Let an identity of a running proxy run a command for a while that it may not run otherwise
    Grant(Grant),
    /// List what is granted
    Grants(Insight),
    /// End a grant before its time
    Revoke(Revoke),
    /// Propose the smallest acl for what an identity has done
    Learn(Learn),
    /// List what the acl of an identity in the mode "observe" would refuse
    Observed(Observed),
    /// Start a Redis with Redoubt in front of it, check that it is secure, and serve until Ctrl-C
    Demo,
    /// Print a script with which a shell completes commands and options
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write a page for each command
    Man {
        /// The directory for redoubt.1 and the other pages; it is created if it does not exist
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// The commands on an audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check the hash chain; exits with 0 only if the log is complete and unchanged
    Verify {
        /// The files of the log, the oldest first
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The location of the configuration.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The configuration file; not needed if the environment has all settings
    #[arg(long = "config", value_name = "FILE", env = "REDOUBT_CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

/// The location of the admin port of a running proxy.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) config: Config,
    /// The address of the admin port; with it, no configuration is read
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: Option<Endpoint>,
}

/// The options of a health check.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    pub(crate) admin: Admin,
    /// Check that the proxy is alive, not that it is ready
    #[arg(long)]
    pub(crate) live: bool,
}

/// The options of commands that query a running proxy.
#[derive(Debug, Args)]
pub(crate) struct Insight {
    #[command(flatten)]
    pub(crate) admin: Admin,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `redoubt sessions`.
#[derive(Debug, Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// Only the sessions of this identity, by its name
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
}

/// The options of `redoubt refused`.
#[derive(Debug, Args)]
pub(crate) struct Refused {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// How far back to count, such as 1h or 10m, a day at most; rounded up to periods of five minutes. Without it,
    /// back to the start of the proxy
    #[arg(long, value_parser = since)]
    pub(crate) since: Option<Duration>,
}

/// The options of `redoubt grant`.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// The name of the identity; "default" for that of [client] without a user name
    pub(crate) identity: String,
    /// The command: COMMAND, with all its subcommands, or COMMAND|SUBCOMMAND
    pub(crate) command: String,
    /// How long, from 1s to 24h, such as 10m
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    pub(crate) lasts: Duration,
    /// Why; it is written to the log and to the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// The options of `redoubt revoke`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// The number of the grant
    pub(crate) number: u64,
}

/// The options of `redoubt learn`.
#[derive(Debug, Args)]
pub(crate) struct Learn {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// How far back to go, such as 1h or 7d; counts are rounded up to longer periods the older they are. Without it,
    /// back to the beginning
    #[arg(long, value_parser = learn_since)]
    pub(crate) since: Option<Duration>,
    /// The name of the identity; "default" for [client] without a user name
    pub(crate) identity: String,
}

/// The options of `redoubt observed`.
#[derive(Debug, Args)]
pub(crate) struct Observed {
    #[command(flatten)]
    pub(crate) insight: Insight,
    /// The name of the identity
    pub(crate) identity: String,
}

/// The options of `redoubt explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) config: Config,
    /// Decide as for a client that has not authenticated
    #[arg(long)]
    pub(crate) unauthenticated: bool,
    /// Decide as for a client that has logged in as this identity. What policy does not refuse is decided by
    /// Redis, which is asked only with --upstream. Exits with 1 also if that is not known
    #[arg(long = "as", value_name = "NAME", conflicts_with = "unauthenticated")]
    pub(crate) identity: Option<String>,
    /// The version of Redis, such as 7.0; the newest by default
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) redis: Option<Version>,
    /// Ask the configured upstream for its version and its commands, and whether the identity of --as may run
    /// the command
    #[arg(long, conflicts_with = "redis")]
    pub(crate) upstream: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The command: one string as typed in redis-cli, or its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// The options of `redoubt verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The address of Redoubt: redis://[user]:[password]@host:port, rediss:// for TLS, or
    /// unix:///path. Prefer
    /// REDOUBT_PASSWORD or REDOUBT_PASSWORD_FILE for the password, since all users of the machine
    /// can see arguments
    pub(crate) url: String,
    /// An address that must not be reachable, such as that of Redis from outside
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) public: Vec<String>,
    /// The admin port, which must not be reachable at the hosts of --public
    #[arg(long, value_name = "PORT", default_value_t = 6390)]
    pub(crate) admin_port: u16,
    /// The address of Redis itself: it must not answer here, or must require a password of its own.
    /// The clients' password is sent to it, to check that it rejects it; rediss://HOST:PORT for TLS,
    /// unix:///PATH for a Unix socket
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) direct: Vec<String>,
    /// A PEM file of the CAs to trust, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A PEM file of a client certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// A PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// An identity to test for its isolation from others, and a file that holds its password; repeatable. Without
    /// another password, the first of these logs in for the other checks
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) identity: Vec<String>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The longest time for a name lookup, a connection or a reply, such as 2s or 500ms; all checks
    /// together may take thirty times as long
    #[arg(long, default_value = "2s", value_parser = timeout)]
    pub(crate) timeout: Duration,
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "expected a version such as 7.0.15".to_owned())
}

fn since(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (status::Refused::SHORTEST..=status::Refused::LONGEST).contains(&time) => {
            Ok(time)
        }
        _ => Err("expected a time from 1s to 1day; the audit log holds what is older".to_owned()),
    }
}

fn lasts(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if grants::TIMES.contains(&time) => Ok(time),
        _ => Err("expected a time from 1s to 24h".to_owned()),
    }
}

fn learn_since(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (status::Learned::SHORTEST..=status::Learned::LONGEST).contains(&time) => {
            Ok(time)
        }
        _ => Err("expected a time from 1s to 366days".to_owned()),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&time) => {
            Ok(time)
        }
        _ => Err("expected a time from 1ms to 60s".to_owned()),
    }
}
