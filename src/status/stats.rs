//! The form of `/stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How Redoubt is, and what it has done since it started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Redoubt's.
    pub version: String,
    /// Since the start.
    pub uptime_seconds: u64,
    /// Worker threads.
    pub workers: usize,
    /// Those that did not answer in time, so that their share is missing.
    pub unanswered: Vec<usize>,
    /// What keeps it from being ready; empty when it is.
    pub unready: Vec<String>,
    /// Whether it is on its way to a stop.
    pub draining: bool,
    /// Clients' connections.
    pub sessions: SessionStats,
    /// Connections to Redis.
    pub links: LinkStats,
    /// Redis.
    pub upstream: UpstreamStats,
    /// What clients have asked for.
    pub commands: CommandStats,
    /// `AUTH`, and `HELLO` with it.
    pub logins: LoginStats,
    /// Connections that did not become sessions, by reason.
    pub connections_refused: BTreeMap<String, u64>,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Reloads of the configuration.
    pub reloads: ReloadStats,
    /// What the process takes up, as far as the system tells.
    pub process: ProcessStats,
}

/// Clients' connections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionStats {
    /// Now.
    pub open: usize,
    /// Of those, not authenticated, or on their way to a worker.
    pub unauthenticated: usize,
    /// The most that there were at one time.
    pub peak: usize,
    /// All that there ever were.
    pub opened: u64,
}

/// Connections to Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LinkStats {
    /// Used by many sessions.
    pub shared: usize,
    /// Lent to one session.
    pub leased: usize,
    /// Clean, for the next session that needs one.
    pub pooled: usize,
    /// Not logged in yet.
    pub opening: usize,
}

/// Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UpstreamStats {
    /// As configured.
    pub address: String,
    /// Whether it lets Redoubt in.
    pub up: bool,
    /// Since when that holds, in RFC 3339; `None` before it was first tried.
    pub since: Option<String>,
    /// Redis's own, when it was last asked.
    pub version: Option<String>,
    /// As whom connections log in: `unknown`, `guarded`, `configured` or `open`.
    pub guard: String,
    /// The name of the guard, if there is one.
    pub guard_user: Option<String>,
    /// Which scripts run: `all`, `read-only`, `pinned` or `none`.
    pub scripts: String,
}

/// What clients have asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CommandStats {
    /// Requests.
    pub total: u64,
    /// Of those, refused by the policy.
    pub refused: u64,
    /// By rule, the most frequent first: 20 of them.
    pub refused_by: Vec<RefusedBy>,
}

/// How often a rule has refused a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedBy {
    /// The rule.
    pub rule: String,
    /// How often.
    pub count: u64,
}

/// `AUTH`, and `HELLO` with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoginStats {
    /// Right ones.
    pub succeeded: u64,
    /// Wrong ones.
    pub failed: u64,
    /// Addresses that were locked out for them.
    pub locked_out: u64,
}

/// Reloads of the configuration.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ReloadStats {
    /// That put a configuration in force.
    pub succeeded: u64,
    /// That changed nothing, since the configuration was wrong.
    pub failed: u64,
}

/// What the process takes up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProcessStats {
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// Processor time.
    pub cpu_seconds: Option<f64>,
    /// Open files, sockets among them.
    pub open_files: Option<u64>,
    /// The most that the system allows.
    pub max_files: Option<u64>,
}

impl ProcessStats {
    /// Those of this process.
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
