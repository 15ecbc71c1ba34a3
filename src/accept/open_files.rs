//! How many files may be open at a time, and how many are needed: every session, link and listener is one.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// For a worker: its runtime, and its shared links, of which few databases and protocol versions are in
/// use at a time.
const PER_WORKER: usize = 16;
/// For all else: logs, the admin port's clients, the guard, files that are read, connections that are refused.
const SPARE: usize = 128;

/// That fewer files may be open than the configuration may come to; the operator's to mend.
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
            "only {allowed} files may be open, but limits.max_sessions and the links to Redis may come \
             to {needed}: raise the limit (ulimit -n, systemd's LimitNOFILE, Docker's --ulimit nofile), \
             or lower limits.max_sessions"
        )
    }
}

/// Lets this process open as many files as the system lets it raise its limit to. Where it cannot, the
/// limit stays as it is, and [`too_few_open_files`] tells.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// The most files that are open at a time with `settings`.
pub fn open_files_needed(settings: &Settings) -> u64 {
    let Settings { listen, admin, workers, limits, upstream, .. } = settings;
    // Without sharing, and at the worst with it, each session has one.
    let own_links =
        upstream.max_links.map_or(limits.max_sessions, |most| most.min(limits.max_sessions));
    let listeners = listen.len() + admin.iter().len();
    let all = limits.max_sessions + own_links + listeners + workers.get() * PER_WORKER + SPARE;
    all.try_into().unwrap_or(u64::MAX)
}

/// Returns whether fewer may be open now than `settings` need.
pub fn too_few_open_files(settings: &Settings) -> Option<TooFewOpenFiles> {
    let needed = open_files_needed(settings);
    let allowed = getrlimit(Resource::Nofile).current?;
    (allowed < needed).then_some(TooFewOpenFiles { allowed, needed })
}
