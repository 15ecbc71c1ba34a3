//! What operators use: the program's commands, the admin port, logs, metrics, reload and shutdown.
//!
//! | module | what it tests |
//! |---|---|
//! | `admin` | the admin port, over HTTP and with the program's own commands |
//! | `audit` | the audit log: lines, file, hash chain, and what happens when it cannot be written |
//! | `cli` | `check`, `demo`, `serve`, `man`, `completions`, exit codes and open files, as processes |
//! | `drain` | draining: which clients are still accepted, a second process on the port, a second signal |
//! | `learn` | `redoubt learn` and `redoubt observed`: recorded requests, rules, dry runs, the state file |
//! | `log_lines` | the lines of the log, in both formats |
//! | `metrics` | the counters in a scrape of a real Redoubt |
//! | `metrics_files` | alerts and dashboard use only metrics that exist |
//! | `metrics_levels` | gauges in a scrape |
//! | `reload` | a changed configuration takes effect without a restart |
//! | `shutdown` | SIGTERM and SIGINT: no new sessions, pending replies arrive, exit code 0 |
//! | `tls` | TLS with clients and with Redis, and Unix sockets |
//! | `verify` | `redoubt verify` against Redoubt, Redis, and other servers |
//! | `verify_harmless` | `redoubt verify` changes nothing in a Redis without a password |
//! | `verify_identities` | `redoubt verify --identity` tests the isolation of identities |
//! | `verify_tls` | `redoubt verify` over TLS |

mod admin;
mod audit;
mod cli;
mod drain;
mod learn;
mod log_lines;
mod metrics;
mod metrics_files;
mod metrics_levels;
mod reload;
mod shutdown;
mod tls;
mod verify;
mod verify_harmless;
mod verify_identities;
mod verify_tls;
