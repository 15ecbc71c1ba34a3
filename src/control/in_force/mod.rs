//! What is in force, composed.
//!
//! Owns: the parts (settings, accepted passwords, what the server told, what the provisioning of the guard
//! found), and making the next [`InForce`] when one of them changes. Nothing else changes what is in force.
//! Leaves to [`crate::worker`]: acting on the difference.
//!
//! Invariant: values reach each worker in the order of their versions, since the composer is locked until
//! the last worker has been sent one.

mod finding;
mod parts;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::warn;

use crate::config::Settings;
use crate::net::upstream::Target;
use crate::worker::handle::{Order, WorkerHandle};
use crate::worker::in_force::{Acknowledgement, InForce};
use crate::worker::link_login::LinkLogin;
use parts::Parts;
use redoubt_core::auth::Identity;
use redoubt_core::command::Version;
use redoubt_core::session::StandIn;
use redoubt_core::upstream::Credentials;

pub(crate) use finding::Finding;
pub(crate) use parts::{Configured, Reload, gate_differs};

/// Composes what is in force and sends it to the workers.
///
/// Its async functions are not cancel safe: a change that is cancelled may have reached only some workers,
/// until the next change, which brings them the whole value. So they are cancelled only where a next change
/// follows, and at the stop.
pub(crate) struct Composer {
    composed: Mutex<Composed>,
    workers: Vec<WorkerHandle>,
    settings: watch::Sender<Arc<Settings>>,
    /// Where connections of the control plane's own go.
    target: watch::Sender<Target>,
    /// What the operator has configured to log in with. The control plane's own connections use it at
    /// once, links when the provisioning of the guard has found it out.
    credentials: watch::Sender<Credentials>,
}

struct Composed {
    parts: Parts,
    current: Arc<InForce>,
}

/// How links log in at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLogin {
    /// With the configured credentials.
    Configured,
    /// That is to be found out, and links wait until then.
    ToBeFound {
        /// Whether they will log in as a guard, if one can be made.
        guarded: bool,
    },
}

impl Composer {
    /// Composes what is in force at the start, where `credentials` are configured for the upstream.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn new(
        configured: Configured,
        identity: Identity,
        credentials: watch::Sender<Credentials>,
        first: FirstLogin,
        workers: Vec<WorkerHandle>,
    ) -> Result<Self, getrandom::Error> {
        let settings = watch::Sender::new(Arc::clone(&configured.settings));
        let target = watch::Sender::new(configured.target.clone());
        let parts = {
            let credentials = credentials.borrow();
            let stand_in = stand_in(&credentials)?;
            let (login, guarded) = match first {
                FirstLogin::Configured => (LinkLogin::configured(credentials.clone()), false),
                FirstLogin::ToBeFound { guarded } => (LinkLogin::default(), guarded),
            };
            Parts::new(configured, identity, login, guarded, stand_in)
        };
        let current = Arc::new(parts.compose(1));
        let composed = Mutex::new(Composed { parts, current });
        Ok(Self { composed, workers, settings, target, credentials })
    }

    /// Returns what workers start with.
    pub(crate) fn first(&mut self) -> Arc<InForce> {
        Arc::clone(&self.composed.get_mut().current)
    }

    /// The settings of now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Returns where connections go, as that changes.
    pub(crate) fn target(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    /// Returns what is configured to log in with, as that changes.
    pub(crate) fn credentials(&self) -> watch::Receiver<Credentials> {
        self.credentials.subscribe()
    }

    /// Has the control plane's own connections log in with `credentials`, and the provisioning of the
    /// guard find out how links log in then.
    pub(crate) fn log_in_with(&self, credentials: Credentials) {
        self.credentials.send_replace(credentials);
    }

    /// Has clients log in with the passwords of `identity`. Sessions that logged in with another one are
    /// closed.
    pub(crate) async fn accept_clients(&self, identity: Identity) {
        self.change(|parts| parts.accept(identity)).await;
    }

    /// The upstream has told its version, or has none to tell.
    pub(crate) async fn take_version(&self, version: Option<Version>) {
        self.change(|parts| parts.take_version(version)).await;
    }

    /// The upstream has told whether it checks what `RESTORE` brings.
    pub(crate) async fn take_payload_check(&self, checks: bool) {
        self.change(|parts| parts.take_payload_check(checks)).await;
    }

    /// The upstream has told which functions the pinned libraries have.
    pub(crate) async fn take_functions(&self, functions: HashSet<Bytes>) {
        self.change(|parts| parts.take_functions(Arc::new(functions))).await;
    }

    /// It has been found out how links log in, or that this is not known.
    pub(crate) async fn take_finding(&self, finding: Finding) {
        self.change(|parts| parts.take_finding(finding)).await;
    }

    /// Announces a reload to the control plane's own connections. [`Composer::reload`] follows. Returns
    /// whether the credentials are new.
    pub(crate) fn configure(&self, configured: &Configured, credentials: &Credentials) -> bool {
        self.settings.send_replace(Arc::clone(&configured.settings));
        self.target.send_replace(configured.target.clone());
        self.credentials.send_if_modified(|current| {
            let is_new = !current.are(credentials);
            if is_new {
                *current = credentials.clone();
            }
            is_new
        })
    }

    /// Puts a reload in force in all workers, and waits until each has done it and Redis is done with what
    /// was sent over links that are closed. Returns how many sessions ended for it.
    pub(crate) async fn reload(&self, reload: Reload) -> u64 {
        let most = reload.configured.target.timeout;
        let (held, mut released) = mpsc::channel::<Infallible>(1);
        let finishing = reload.closes_scripts.then_some(held);
        let mut answers = Vec::new();
        {
            let mut composed = self.composed.lock().await;
            composed.parts.reload(reload);
            let next = composed.next();
            for worker in &self.workers {
                let (ended, answer) = oneshot::channel();
                let ack = Acknowledgement { ended, finishing: finishing.clone() };
                worker.order(Order::InForce(Arc::clone(&next), Some(ack))).await;
                answers.push(answer);
            }
        }
        drop(finishing);
        let mut ended = 0_u64;
        for answer in answers {
            // A worker that has stopped has no sessions.
            ended = ended.saturating_add(answer.await.unwrap_or_default());
        }
        if timeout(most, released.recv()).await.is_err() {
            warn!("Redis is not done yet with what was sent before the reload");
        }
        ended
    }

    /// Makes a change, and sends all workers what is in force then. `change` returns whether there is
    /// anything new to be sent.
    async fn change(&self, change: impl FnOnce(&mut Parts) -> bool) {
        let mut composed = self.composed.lock().await;
        if !change(&mut composed.parts) {
            return;
        }
        let next = composed.next();
        for worker in &self.workers {
            worker.order(Order::InForce(Arc::clone(&next), None)).await;
        }
    }
}

impl Composed {
    fn next(&mut self) -> Arc<InForce> {
        let version = self.current.version.saturating_add(1);
        self.current = Arc::new(self.parts.compose(version));
        Arc::clone(&self.current)
    }
}

/// The requests in the place of clients' for links that log in with `credentials`.
fn stand_in(credentials: &Credentials) -> Result<StandIn, getrandom::Error> {
    let password = credentials.password.as_ref().map(|p| p.expose_secret().as_bytes());
    Ok(StandIn::new(credentials.user.as_deref(), password, getrandom::u64()?))
}
