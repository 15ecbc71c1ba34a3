//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// Tell what becomes of a command, and why; needs no Redis. Ends with 1 if it is refused
    Explain(Explain),
    /// Start a Redis and the proxy before it, show that it is secure, and serve until Ctrl-C
    Demo,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The configuration file; not needed when the environment says enough
    #[arg(long = "config", value_name = "FILE", env = "REDOUBT_CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

/// What is to be explained, and how.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) config: Config,
    /// As for a client that has not authenticated
    #[arg(long)]
    pub(crate) unauthenticated: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The command: one string as typed in redis-cli, or its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}
