//! The format of `/stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state of Redoubt, and its statistics since the start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Redoubt's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Number of worker threads.
    pub workers: usize,
    /// Workers that did not answer in time, so that their numbers are missing.
    pub unanswered: Vec<usize>,
    /// The reasons why Redoubt is not ready; empty if it is ready.
    pub unready: Vec<String>,
    /// `true` if Redoubt is stopping.
    pub draining: bool,
    /// Clients' connections.
    pub sessions: SessionStats,
    /// Connections to Redis.
    pub links: LinkStats,
    /// The state of Redis.
    pub upstream: UpstreamStats,
    /// Requests of clients.
    pub commands: CommandStats,
    /// Logins of clients, by `AUTH`, by `HELLO` and by certificates.
    pub logins: LoginStats,
    /// The identities that clients may have been since the start, by name.
    #[serde(default)]
    pub identities: BTreeMap<String, IdentityStats>,
    /// Connections that were refused before they became sessions, by reason.
    pub connections_refused: BTreeMap<String, u64>,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Reloads of the configuration.
    pub reloads: ReloadStats,
    /// The resources of the process, as far as the system reports them.
    pub process: ProcessStats,
}

/// Connections of clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionStats {
    /// Sessions that are open now.
    pub open: usize,
    /// Of these, sessions that have not authenticated or have no worker yet.
    pub unauthenticated: usize,
    /// The most sessions that were open at one time.
    pub peak: usize,
    /// All sessions since the start.
    pub opened: u64,
}

/// Connections to Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LinkStats {
    /// Links that many sessions share.
    pub shared: usize,
    /// Links that each serve one session.
    pub leased: usize,
    /// Clean links, kept for the next session that needs one.
    pub pooled: usize,
    /// Links that have not logged in yet.
    pub opening: usize,
}

/// The state of Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UpstreamStats {
    /// The address that links go to, or as configured while none is known.
    pub address: String,
    /// The server that links go to; `None` while it is not known which one is the primary.
    #[serde(default)]
    pub node: Option<String>,
    /// How often another server became the primary.
    #[serde(default)]
    pub failovers: u64,
    /// For how many seconds no primary was known, in total.
    #[serde(default)]
    pub without_primary_seconds: u64,
    /// `true` if Redoubt can log in.
    pub up: bool,
    /// The time since which `up` has this value, in RFC 3339; `None` before the first attempt.
    pub since: Option<String>,
    /// The version of Redis, when it was last asked.
    pub version: Option<String>,
    /// How links log in: `unknown`, `guarded`, `configured` or `open`.
    pub guard: String,
    /// The name of the guard, if there is one.
    pub guard_user: Option<String>,
    /// Which scripts run: `all`, `read-only`, `pinned` or `none`.
    pub scripts: String,
}

/// Requests of clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CommandStats {
    /// Requests of clients since the start.
    pub total: u64,
    /// Requests that the policy refused.
    pub refused: u64,
    /// The refused requests by rule, the most frequent rule first: at most 20 rules.
    pub refused_by: Vec<RefusedBy>,
}

/// What the sessions of an identity use and have used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct IdentityStats {
    /// Authenticated sessions that are open now.
    pub sessions: usize,
    /// Connections to Redis that one of them has for itself now.
    pub leases: usize,
    /// Requests of these sessions since the start, except of the last moment.
    pub commands: u64,
    /// Requests that the policy refused.
    pub refused: u64,
    /// Sessions that the limit on sessions refused.
    pub refused_sessions: u64,
    /// Sessions that the limit on leases ended.
    pub refused_leases: u64,
    /// Times that a session waited for the limits on commands and on bytes per second.
    pub waits: u64,
}

/// How often a rule has refused a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedBy {
    /// The name of the rule.
    pub rule: String,
    /// How many requests it refused.
    pub count: u64,
}

/// Logins of clients, by `AUTH`, by `HELLO` and by certificates.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoginStats {
    /// Logins with a right password or a certificate.
    pub succeeded: u64,
    /// Logins with a wrong password.
    pub failed: u64,
    /// Addresses that were locked out for wrong passwords.
    pub locked_out: u64,
}

/// Reloads of the configuration.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ReloadStats {
    /// Reloads that put a configuration in force.
    pub succeeded: u64,
    /// Reloads that failed and changed nothing, for example because the configuration was wrong.
    pub failed: u64,
}

/// The resources of the process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProcessStats {
    /// Resident memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time in seconds.
    pub cpu_seconds: Option<f64>,
    /// Open files, including sockets.
    pub open_files: Option<u64>,
    /// Most open files that the system allows.
    pub max_files: Option<u64>,
}

impl ProcessStats {
    /// Reads the resources of this process.
    pub(crate) fn now() -> Self {
        let found = metrics_process::collector::collect();
        Self {
            memory_bytes: found.resident_memory_bytes,
            cpu_seconds: found.cpu_seconds_total,
            open_files: found.open_fds,
            max_files: found.max_fds,
        }
    }
}
