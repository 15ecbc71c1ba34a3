//! Puts a changed configuration in force.
//!
//! All steps that can fail come first. Then the configuration is put in force at Redis (the guard's
//! rights), at the dispatcher, in all workers, and in the watchers of files. The reply to the
//! requester comes when the last worker has it.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `configuration reloaded` | info | `changed`, `needs_restart` (keys), `closed_sessions` |
//! | `configuration not reloaded; nothing has changed` | error | `error` |
//! | `upstream cannot be reached: …` | warn | `reason` |

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::plan;
use crate::accept::dispatcher::Dispatcher;
use crate::accept::too_few_open_files;
use crate::audit;
use crate::config::Settings;
use crate::control::certificates::Certificates;
use crate::control::guard_change::{News, Prepared, is_stricter};
use crate::control::identities::{IdentityIds, KnownIdentities};
use crate::control::in_force::{self, Composer, Finding, script_rules_differ};
use crate::control::secrets::{UpstreamPassword, Watched, Watchers};
use crate::control::watch::{Provisioned, Watch};
use crate::health::Health;
use crate::reload::{Difference, ReloadRequest, Reloaded, Reloads, chain};
use crate::telemetry;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::Credentials;

/// Carries out reloads, one after the other.
pub(super) struct Reloader {
    pub(super) reloads: Reloads,
    pub(super) asked: mpsc::Receiver<ReloadRequest>,
    pub(super) ids: IdentityIds,
    pub(super) composer: Arc<Composer>,
    pub(super) certificates: Certificates,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) watch: Arc<Watch>,
    pub(super) stop: CancellationToken,
}

/// The configuration to be put in force.
struct Next {
    settings: Settings,
    identities: KnownIdentities,
    policy: Policy,
    credentials: Credentials,
    /// `true` if the policy refuses a command that was allowed before.
    is_stricter: bool,
    /// `true` if the set of scripts that may run changes.
    scripts_changed: bool,
    /// `true` if other refused commands are answered than before.
    compat_changed: bool,
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
                Ok(done) => log(done),
                Err(error) => error!(error, "configuration not reloaded; nothing has changed"),
            }
            if let Some(reply) = reply {
                // The requester may be gone meanwhile.
                let _ = reply.send(outcome);
            }
        }
        watchers.end().await;
    }

    async fn reload(&mut self, watchers: &mut Watchers) -> Result<Reloaded, String> {
        let settings = self.reloads.load().await?;
        let old = self.composer.settings();
        let (difference, settings) = Difference::take(&old, settings);
        let policy = settings.policy.compile().map_err(|error| chain(&error))?;
        let identities = self.ids.known(&settings).map_err(|error| error.to_string())?;
        let certificates = self.certificates.read().await;
        let certificates = certificates.map_err(|error| chain(&error))?;
        let mut provisioned = self.watch.provisioned.lock().await;
        let before = self.composer.credentials().borrow().clone();
        let credentials = credentials(&old, &settings, &before);
        let new = News {
            policy: old.policy.blocked != settings.policy.blocked
                || old.policy.escapes != settings.policy.escapes
                || old.policy.allow != settings.policy.allow,
            credentials: !before.are(&credentials),
            identities: changes_rights(&difference),
        };
        let prepared =
            self.watch.prepare(&mut provisioned, &policy, &identities, &credentials, new).await;
        let prepared = prepared.map_err(|error| format!("upstream: {}", error.chain()))?;
        // From here on no step fails.
        self.certificates.put(certificates);
        let next = Next {
            // What only the upstream knows is no rule of the policy yet.
            is_stricter: is_stricter(&provisioned.policy, &policy)
                || !old.policy.allow.iter().all(|name| settings.policy.allow.contains(name)),
            scripts_changed: script_rules_differ(&old, &settings),
            compat_changed: old.compat != settings.compat,
            settings,
            identities,
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
        let closed_sessions = self.put_in_force(next, prepared, &mut provisioned, watchers).await;
        Ok(Reloaded { changed, needs_restart, closed_sessions })
    }

    /// Puts the configuration in force and returns how many sessions were closed.
    async fn put_in_force(
        &self,
        next: Next,
        prepared: Prepared,
        provisioned: &mut Provisioned,
        watchers: &mut Watchers,
    ) -> u64 {
        let closes_scripts = (next.scripts_changed
            && !next.settings.policy.script_rules().are_open())
            || (next.is_stricter && !is_held(&prepared));
        let finding = provision(provisioned, prepared, &next, &self.watch.health);
        let is_unsettled = finding.is_some();
        self.end_watchers(watchers).await;
        let compat_changed = next.compat_changed;
        let Next { settings, identities, policy, credentials, scripts_changed, .. } = next;
        let known = Arc::clone(&identities);
        let first_usage = self.ids.first_usage(&settings);
        let tls = self.certificates.upstream.clone();
        let configured = plan::configured(&settings, (identities, first_usage), policy, tls);
        if self.composer.configure(&configured, &credentials) {
            // The current login was found out with these credentials.
            provisioned.configured.mark_unchanged();
        }
        if let Err(error) = telemetry::set_level(&settings.log.level) {
            warn!(%error, "cannot change log.level; the old level stays");
        }
        plan::apply_to_dispatcher(&self.dispatcher, &settings);
        self.watch.health.links.configure(settings.upstream.max_links);
        let client = plan::client_passwords(&settings, &known, self.composer.credentials());
        let identities = client.identities();
        let reload = in_force::Reload { configured, identities, finding, closes_scripts };
        let closed = self.composer.reload(reload).await;
        let functions = plan::function_watch(&self.composer);
        let answered = functions.as_ref().map(|functions| Arc::clone(&functions.answered));
        let parameters = plan::parameter_watch(&self.composer);
        let read = parameters.as_ref().map(|parameters| Arc::clone(&parameters.answered));
        let upstream = UpstreamPassword::new(&self.composer);
        let watched = Watched { client, upstream, functions, parameters };
        *watchers = Watchers::start(watched, &self.composer, &self.stop);
        if let Some(read) = read.filter(|_| compat_changed) {
            // Commands should be answered as soon as the reload is.
            let _ = timeout(settings.upstream.connect_timeout, read.notified()).await;
        }
        if let Some(answered) = answered.filter(|_| scripts_changed) {
            // Pinned functions should run as soon as the reload is answered.
            let _ = timeout(settings.upstream.connect_timeout, answered.notified()).await;
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
}

/// Returns whether a reload changes what identities may do, or which there are.
fn changes_rights(difference: &Difference) -> bool {
    let rights = ["acl", "acl_file", "databases", "mode", "upstream_user"];
    let rights = |key: &str| rights.contains(&key) || key.starts_with("upstream_password");
    difference.changed.iter().any(|key| match key.strip_prefix("identities.") {
        Some(key) => key.split_once('.').is_none_or(|(_, key)| rights(key)),
        None => false,
    })
}

/// Returns whether links may stay open under a stricter policy: Redis enforces the policy on them,
/// or the operator does not want that. If that is unknown they are closed, without waiting for
/// Redis.
fn is_held(prepared: &Prepared) -> bool {
    !matches!(prepared, Prepared::Change(_))
}

/// Stores what was found out, and returns what of it must be put in force.
fn provision(
    provisioned: &mut Provisioned,
    prepared: Prepared,
    next: &Next,
    health: &Health,
) -> Option<Finding> {
    provisioned.policy = next.policy.clone();
    provisioned.identities = Arc::clone(&next.identities);
    match prepared {
        Prepared::Same => None,
        Prepared::Renewed(outcomes) if outcomes.is_empty() && provisioned.outcomes.is_empty() => {
            None
        }
        Prepared::Renewed(outcomes) => {
            provisioned.replace_identities(outcomes);
            provisioned.in_force_next();
            let finding = provisioned.finding(next.credentials.clone());
            finding.show(health);
            Some(finding)
        }
        Prepared::Change(provision) => {
            provisioned.replace(provision);
            let finding = provisioned.finding(next.credentials.clone());
            finding.show(health);
            Some(finding)
        }
        Prepared::Unreachable(error) => {
            warn!(
                reason = %error.chain(),
                "upstream cannot be reached: new links wait until Redoubt knows how the policy is enforced there"
            );
            provisioned.is_stale = true;
            let guarded = plan::is_guarded(&next.settings, &next.policy, &next.identities);
            let finding = Finding::Revoked { guarded };
            finding.show(health);
            Some(finding)
        }
    }
}

/// Returns the credentials of links. The watch of a password file puts a changed password in the
/// same file in force, once Redis accepts it.
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

fn log(done: &Reloaded) {
    let Reloaded { changed, needs_restart, closed_sessions } = done;
    info!(
        changed = changed.join(" "),
        needs_restart = needs_restart.join(" "),
        closed_sessions,
        "configuration reloaded"
    );
    if !changed.is_empty() {
        audit::record(audit::Event::ConfigurationChanged { keys: changed.clone() });
    }
}
