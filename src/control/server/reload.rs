//! Putting a changed configuration in force.
//!
//! All that can fail comes first. Then it is put in force: at Redis (the guard's rights), at the door,
//! in all workers, each at once, and with those who watch files. Whoever asked is told when the last
//! worker has it.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `configuration reloaded` | info | `changed`, `needs_restart` (keys), `closed_sessions` |
//! | `configuration not reloaded; nothing has changed` | error | `error` |
//! | `upstream cannot be reached: …` | warn | `reason` |

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{InForce, plan};
use crate::accept::door::Door;
use crate::accept::too_few_open_files;
use crate::audit;
use crate::config::Settings;
use crate::control::limits;
use crate::control::resettle::{News, Prepared, is_stricter};
use crate::control::rules;
use crate::control::secrets::Watchers;
use crate::control::watch::{Settled, Watch, report};
use crate::health::Health;
use crate::reload::{Difference, ReloadRequest, Reloaded, Reloads, chain};
use crate::telemetry;
use crate::worker::change::Change;
use crate::worker::handle::{Order, WorkerHandle};
use crate::worker::standing::Standing;
use redoubt_core::auth::Identity;
use redoubt_core::policy::{Policy, Scripts};
use redoubt_core::upstream::Credentials;

/// Reloads, one after the other.
pub(super) struct Reloader {
    pub(super) reloads: Reloads,
    pub(super) asked: mpsc::Receiver<ReloadRequest>,
    pub(super) in_force: InForce,
    pub(super) door: Arc<Door>,
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) watch: Arc<Watch>,
    pub(super) stop: CancellationToken,
}

/// What is to be put in force.
struct Next {
    settings: Settings,
    policy: Policy,
    credentials: Credentials,
    /// Whether the policy refuses what it let pass before.
    is_stricter: bool,
    /// Present if other scripts run.
    scripts: Option<Scripts>,
}

impl Reloader {
    pub(super) async fn run(mut self, mut watchers: Watchers) {
        loop {
            let reply = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(request) = self.asked.recv() => Some(request.reply),
                () = self.reloads.asked() => None,
            };
            let outcome = self.reload(&mut watchers).await;
            telemetry::metrics::reloaded(outcome.is_ok());
            self.watch.health.reloaded(outcome.is_ok());
            match &outcome {
                Ok(done) => tell(done),
                Err(error) => error!(error, "configuration not reloaded; nothing has changed"),
            }
            if let Some(reply) = reply {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(outcome);
            }
        }
        watchers.end().await;
    }

    async fn reload(&self, watchers: &mut Watchers) -> Result<Reloaded, String> {
        let settings = self.reloads.load().await?;
        let old = Arc::clone(&self.in_force.settings.borrow());
        let (difference, settings) = Difference::take(&old, settings);
        let policy = settings.policy.compile().map_err(|error| chain(&error))?;
        let certificates = self.in_force.certificates.read().await;
        let certificates = certificates.map_err(|error| chain(&error))?;
        let mut settled = self.watch.settled.lock().await;
        let before = self.in_force.credentials.borrow().clone();
        let credentials = credentials(&old, &settings, &before);
        let new = News {
            policy: old.policy.blocked != settings.policy.blocked
                || old.policy.escapes != settings.policy.escapes,
            credentials: !before.are(&credentials),
        };
        let prepared = self.watch.prepare(&settled, &policy, &credentials, new).await;
        let prepared = prepared.map_err(|error| format!("upstream: {}", error.chain()))?;
        // From here on nothing fails.
        self.in_force.certificates.put(certificates);
        let next = Next {
            is_stricter: is_stricter(&settled.policy, &policy),
            scripts: (old.policy.gate() != settings.policy.gate()
                || old.policy.pinned_libraries != settings.policy.pinned_libraries)
                .then(|| settings.policy.gate()),
            settings,
            policy,
            credentials,
        };
        for warning in next.settings.warnings.iter().filter(|w| !old.warnings.contains(w)) {
            warn!("{warning}");
        }
        if old.limits.max_sessions < next.settings.limits.max_sessions
            && let Some(warning) = too_few_open_files(&next.settings)
        {
            warn!("{warning}");
        }
        let Difference { changed, needs_restart } = difference;
        let closed_sessions = self.put_in_force(next, prepared, &mut settled, watchers).await;
        Ok(Reloaded { changed, needs_restart, closed_sessions })
    }

    /// Returns how many sessions were closed.
    async fn put_in_force(
        &self,
        next: Next,
        prepared: Prepared,
        settled: &mut Settled,
        watchers: &mut Watchers,
    ) -> u64 {
        let InForce { settings, credentials, target, certificates } = &self.in_force;
        let next_target = plan::target(&next.settings, certificates);
        let is_new_gate = next.scripts.is_some();
        let closes = next.scripts.as_ref().is_some_and(|scripts| !scripts.are_open())
            || (next.is_stricter && !is_held(&prepared));
        let standing = settle(settled, prepared, &next, &self.watch.health);
        let is_unsettled = standing.is_some();
        self.end_watchers(watchers).await;
        settings.send_replace(Arc::new(next.settings.clone()));
        target.send_replace(next_target);
        if !credentials.borrow().are(&next.credentials) {
            credentials.send_replace(next.credentials.clone());
            settled.configured.mark_unchanged();
        }
        if let Err(error) = telemetry::set_level(&next.settings.log.level) {
            warn!(%error, "log.level stays as it was");
        }
        plan::let_in_by(&self.door, &next.settings);
        self.watch.health.links.configure(next.settings.upstream.max_links);
        let client = self.in_force.client_passwords();
        let closed = self.change_workers(&next, client.identity(), standing, closes).await;
        let functions = self.in_force.functions(&self.workers);
        let told = functions.as_ref().map(|functions| Arc::clone(&functions.told));
        let upstream = self.in_force.upstream_password();
        *watchers = Watchers::start(client, upstream, functions, &self.workers, &self.stop);
        if let Some(told) = told.filter(|_| is_new_gate) {
            // What is pinned now should run from the answer on.
            let _ = timeout(next.settings.upstream.connect_timeout, told.notified()).await;
        }
        if is_unsettled {
            self.watch.again.notify_one();
        }
        closed
    }

    async fn end_watchers(&self, watchers: &mut Watchers) {
        let none = Watchers::none(&self.stop);
        std::mem::replace(watchers, none).end().await;
    }

    /// Tells all workers, and waits until each has done it and Redis is done with what was sent over
    /// links that are closed.
    async fn change_workers(
        &self,
        next: &Next,
        identity: Identity,
        standing: Option<Standing>,
        closes: bool,
    ) -> u64 {
        let (held, mut released) = mpsc::channel(1);
        let settings = &next.settings;
        let change = Change {
            policy: next.policy.clone(),
            scripts: next.scripts.clone(),
            identity,
            auth_attempts: settings.limits.auth_attempts,
            keys: rules::keys(settings),
            limits: limits::in_force(&settings.limits),
            timeouts: plan::timeouts(settings),
            target: self.in_force.target.borrow().clone(),
            shutdown_timeout: settings.shutdown_timeout,
            stall_timeout: settings.upstream.stall_timeout,
            allow: settings.allow.clone().into(),
            standing,
            closing: closes.then_some(held),
        };
        let most = change.target.timeout;
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (answer, answered) = oneshot::channel();
            worker.order(Order::Change(Box::new(change.clone()), answer)).await;
            answers.push(answered);
        }
        drop(change);
        let mut closed = 0_u64;
        for answered in answers {
            // A worker that has stopped has no sessions.
            closed = closed.saturating_add(answered.await.unwrap_or_default());
        }
        if timeout(most, released.recv()).await.is_err() {
            warn!("Redis is not done yet with what was sent before the reload");
        }
        closed
    }
}

/// Whether links may stay open that a stricter policy holds on: Redis refuses there what it refuses, or
/// nobody has asked for that. Where it is not known they are closed, without waiting for Redis.
fn is_held(prepared: &Prepared) -> bool {
    !matches!(prepared, Prepared::Settle(_))
}

/// Notes what was found out, and returns what workers are to be told of it.
fn settle(
    settled: &mut Settled,
    prepared: Prepared,
    next: &Next,
    health: &Health,
) -> Option<Standing> {
    settled.policy = next.policy.clone();
    match prepared {
        Prepared::Same | Prepared::Renewed => None,
        Prepared::Settle(outcome) => {
            if let Some(outcome) = &outcome {
                report(outcome, settled.outcome.as_ref());
            }
            settled.outcome = outcome;
            (settled.is_changed, settled.is_stale) = (false, false);
            settled.epoch = settled.epoch.saturating_add(1);
            let standing = Standing::Settled(Arc::new(settled.login(next.credentials.clone())));
            standing.show(health);
            Some(standing)
        }
        Prepared::Unreachable(error) => {
            warn!(
                reason = %error.chain(),
                "upstream cannot be reached: links wait until it is known how scripts are held there"
            );
            settled.is_stale = true;
            let guarded = rules::is_guarded(&next.settings, &next.policy);
            let standing = Standing::Revoked { guarded };
            standing.show(health);
            Some(standing)
        }
    }
}

/// What links log in with. A password in the same file as before is for its watch to put in force,
/// once Redis takes it.
fn credentials(old: &Settings, new: &Settings, in_force: &Credentials) -> Credentials {
    let file = |settings: &Settings| {
        settings.upstream.password_origin.as_ref()?.file().map(ToOwned::to_owned)
    };
    let is_same = old.upstream.user == new.upstream.user && file(new).is_some();
    if is_same && file(old) == file(new) {
        return in_force.clone();
    }
    Credentials { user: new.upstream.user.clone(), password: new.upstream.password.clone() }
}

fn tell(done: &Reloaded) {
    let Reloaded { changed, needs_restart, closed_sessions } = done;
    info!(
        changed = changed.join(" "),
        needs_restart = needs_restart.join(" "),
        closed_sessions,
        "configuration reloaded"
    );
    if !changed.is_empty() {
        let keys = changed.iter().map(|&key| key.to_owned()).collect();
        audit::record(audit::Event::ConfigurationChanged { keys });
    }
}
