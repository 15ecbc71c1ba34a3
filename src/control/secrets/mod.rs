//! Watches passwords that change while Redoubt runs: files that are rewritten, and a password that
//! ends at a given time.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `client password changed` | info | `source` |
//! | `previous client password changed` | info | `source` |
//! | `previous client password is over` | info | |
//! | `upstream password changed` | info | `source` |
//! | `upstream does not accept the new password yet` | warn | `source`, `reason` |
//! | `password file cannot be used` | warn | `source`, `problem` |
//! | `password file is not watched` | warn | `source` |
//!
//! `source` names the key or variable, and the file.

mod client;
mod file;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use client::ClientPasswords;
pub(crate) use upstream::UpstreamPassword;

use crate::audit;
use crate::control::functions::FunctionWatch;
use crate::control::in_force::Composer;
use crate::control::parameters::ParameterWatch;

/// Time between two checks of files and of the clock. A change in a file takes effect when two
/// checks have found it, and sessions with a withdrawn password must be closed within a second.
const LOOK: Duration = Duration::from_millis(200);

/// What is watched as a configuration says.
pub(crate) struct Watched {
    pub(crate) client: ClientPasswords,
    pub(crate) upstream: Option<UpstreamPassword>,
    pub(crate) functions: Option<FunctionWatch>,
    pub(crate) parameters: Option<ParameterWatch>,
}

/// The watchers of the files that a configuration names, until the next configuration is in force.
pub(crate) struct Watchers {
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Watchers {
    /// Starts the watchers. They end with [`Watchers::end`], or when `stop` is cancelled.
    pub(crate) fn start(
        watched: Watched,
        composer: &Arc<Composer>,
        stop: &CancellationToken,
    ) -> Self {
        let Watched { client, upstream, functions, parameters } = watched;
        let (tasks, end) = (TaskTracker::new(), stop.child_token());
        tasks.spawn(client.run(Arc::clone(composer), end.clone(), stop.clone()));
        if let Some(upstream) = upstream {
            tasks.spawn(upstream.run(end.clone()));
        }
        if let Some(functions) = functions {
            tasks.spawn(functions.run(end.clone()));
        }
        if let Some(parameters) = parameters {
            tasks.spawn(parameters.run(end.clone()));
        }
        tasks.close();
        Self { tasks, end }
    }

    /// Returns a value without watchers.
    pub(crate) fn none(stop: &CancellationToken) -> Self {
        let (tasks, end) = (TaskTracker::new(), stop.child_token());
        tasks.close();
        Self { tasks, end }
    }

    /// Ends the watchers. What they have found is in force before this returns, so that it cannot
    /// replace what is put in force next.
    pub(crate) async fn end(self) {
        self.end.cancel();
        self.tasks.wait().await;
    }
}

/// Records in the audit log that the value of `key` has changed.
fn changed(key: &str) {
    audit::record(audit::Event::ConfigurationChanged { keys: vec![key.to_owned()] });
}

/// Returns the timer of the checks; a check that was late is not made up for.
fn check_timer() -> tokio::time::Interval {
    let mut checks = tokio::time::interval(LOOK);
    checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    checks
}
