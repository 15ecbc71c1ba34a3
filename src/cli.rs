//! The command line.

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
    /// Look at the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Start a Redis and the proxy before it, show that it is secure, and serve until Ctrl-C
    Demo,
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
