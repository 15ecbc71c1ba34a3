//! Checks the limit of open files: every session, link and listener needs one.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Files per worker: its runtime, and its shared links, of which few databases and protocol
/// versions are in use at a time.
const PER_WORKER: usize = 16;
/// Files for everything else: logs, clients of the admin port, the guard, files that are read,
/// connections that are refused.
const SPARE: usize = 128;

/// The error that the process may open fewer files than the configuration may need; the operator
/// must correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFewOpenFiles {
    allowed: u64,
    needed: u64,
}

impl fmt::Display for TooFewOpenFiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, needed } = self;
        write!(
            out,
            "only {allowed} files may be open, but limits.max_sessions and the links to Redis may need \
             {needed}: raise the limit (ulimit -n, systemd's LimitNOFILE, Docker's --ulimit nofile), \
             or lower limits.max_sessions"
        )
    }
}

/// Raises this process's limit of open files as far as the system allows. If that fails, the limit
/// stays, and [`too_few_open_files`] reports it.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// Returns the most files that are open at a time with `settings`.
pub fn open_files_needed(settings: &Settings) -> u64 {
    let Settings { listen, admin, workers, limits, upstream, .. } = settings;
    // Without sharing, and in the worst case with it, each session has a link of its own.
    let own_links =
        upstream.max_links.map_or(limits.max_sessions, |most| most.min(limits.max_sessions));
    let listeners = listen.len() + admin.iter().len();
    let all = limits.max_sessions + own_links + listeners + workers.get() * PER_WORKER + SPARE;
    all.try_into().unwrap_or(u64::MAX)
}

/// Returns an error if fewer files may be open than `settings` need.
pub fn too_few_open_files(settings: &Settings) -> Option<TooFewOpenFiles> {
    let needed = open_files_needed(settings);
    let allowed = getrlimit(Resource::Nofile).current?;
    (allowed < needed).then_some(TooFewOpenFiles { allowed, needed })
}
