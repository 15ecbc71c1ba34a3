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
