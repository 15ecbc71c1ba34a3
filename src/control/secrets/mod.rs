//! Passwords that change while Redoubt runs: files that are rewritten, and a password whose time is up.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `client password changed` | info | `source` |
//! | `previous client password changed` | info | `source` |
//! | `previous client password is over` | info | |
//! | `upstream password changed` | info | `source` |
//! | `upstream does not take the new password yet` | warn | `source`, `reason` |
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

/// How often files and the clock are looked at. What is new in a file counts when it has been seen
/// twice, and sessions whose password is withdrawn are to be closed within a second.
const LOOK: Duration = Duration::from_millis(200);

/// Those that watch what one configuration names, until the next is in force.
pub(crate) struct Watchers {
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Watchers {
    /// Starts them. They end with [`Watchers::end`], or when `stop` is cancelled.
    pub(crate) fn start(
        client: ClientPasswords,
        upstream: Option<UpstreamPassword>,
        functions: Option<FunctionWatch>,
        composer: &Arc<Composer>,
        stop: &CancellationToken,
    ) -> Self {
        let (tasks, end) = (TaskTracker::new(), stop.child_token());
        tasks.spawn(client.run(Arc::clone(composer), end.clone(), stop.clone()));
        if let Some(upstream) = upstream {
            tasks.spawn(upstream.run(end.clone()));
        }
        if let Some(functions) = functions {
            tasks.spawn(functions.run(end.clone()));
        }
        tasks.close();
        Self { tasks, end }
    }

    /// Nobody.
    pub(crate) fn none(stop: &CancellationToken) -> Self {
        let (tasks, end) = (TaskTracker::new(), stop.child_token());
        tasks.close();
        Self { tasks, end }
    }

    /// Ends them. What they have found is in force before this returns, so that nothing of it can come
    /// after what is put in force next.
    pub(crate) async fn end(self) {
        self.end.cancel();
        self.tasks.wait().await;
    }
}

/// Tells the audit log that what is under `key` has changed.
fn changed(key: &'static str) {
    audit::record(audit::Event::ConfigurationChanged { keys: vec![key.to_owned()] });
}

/// The clock that looks at secrets go by; one that was late does not make up for it.
fn looks() -> tokio::time::Interval {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    looks
}
