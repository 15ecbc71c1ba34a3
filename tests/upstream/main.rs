//! Redis behind Redoubt: its users and passwords, its versions, and its absence.
//!
//! | module | what it tests |
//! |---|---|
//! | `commands` | the server's own list of its commands: what it has, lacks, and knows alone |
//! | `guard` | Redis itself refuses what the policy refuses, in scripts and functions too |
//! | `outages` | Redis dies, comes back, or cannot be reached |
//! | `rotation` | passwords that change on both sides while Redoubt runs |
//! | `servers` | Redoubt with each server that `scripts/servers.sh` installs |
//! | `unix` | Redis without a port, behind a Unix socket |
//! | `unix_verify` | `redoubt verify` and `check` with addresses of Unix sockets |

mod commands;
mod guard;
mod outages;
mod rotation;
mod servers;
mod unix;
mod unix_verify;
