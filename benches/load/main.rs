//! The load generator for loads that redis-benchmark cannot generate: mixed commands, transactions,
//! fan-out, a fixed rate, and thousands of sessions. It has one thread and one epoll; `benches/peers`
//! runs it.
//!
//! It prints one line of JSON. Times are in milliseconds. A reply that is an error ends it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program reports its results on standard output"
)]
#![allow(clippy::disallowed_methods, reason = "it measures real time and blocks on purpose")]

mod closed;
mod connection;
mod fanout;
mod idle;
mod open;
mod poll;
mod requests;
mod times;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connection::Address;

/// An error, which ends the run: of the system or of the server, as text.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    load: Load,
    /// The argument that `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Clone, clap::Args)]
struct Server {
    /// HOST:PORT, or unix:///PATH.
    #[arg(long)]
    address: Address,
}

#[derive(Subcommand)]
enum Load {
    /// Each client sends its next request when the last is answered.
    Closed {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        mix: requests::Mix,
        #[arg(long)]
        clients: usize,
        /// Requests in total.
        #[arg(long)]
        count: usize,
    },
    /// Requests leave at a fixed rate, whether or not earlier requests are answered.
    Open {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        mix: requests::Mix,
        #[arg(long)]
        clients: usize,
        /// Requests per second.
        #[arg(long)]
        rate: f64,
        #[arg(long)]
        seconds: f64,
    },
    /// One client publishes, many subscribers receive.
    Fanout {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        subscribers: usize,
        /// Messages delivered in total.
        #[arg(long)]
        count: usize,
    },
    /// Opens sessions that log in and then send nothing until standard input ends.
    Idle {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        sessions: usize,
    },
}

fn main() -> ExitCode {
    // `cargo bench` runs every bench; without arguments there is nothing to measure here.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("the load generator of benches/peers: see benches/README.md");
        return ExitCode::SUCCESS;
    }
    let done = match Arguments::parse().load {
        Load::Closed { server, mix, clients, count } => {
            closed::run(&server.address, mix, clients, count)
        }
        Load::Open { server, mix, clients, rate, seconds } => {
            open::run(&server.address, mix, clients, rate, seconds)
        }
        Load::Fanout { server, subscribers, count } => {
            fanout::run(&server.address, subscribers, count)
        }
        Load::Idle { server, sessions } => idle::run(&server.address, sessions),
    };
    match done {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
