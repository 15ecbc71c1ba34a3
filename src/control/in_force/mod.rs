//! Composes the value in force.
//!
//! Owns: the parts (settings, accepted passwords, what the server reported, what the provisioning
//! of the guard found), and making the next [`InForce`] when a part changes. Nothing else changes
//! what is in force. Leaves to [`crate::worker`]: acting on the difference.
//!
//! Invariant: values reach each worker in the order of their versions, since the composer stays
//! locked until a value has been sent to the last worker.

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

use crate::config::{Node, Settings};
use crate::control::grants::GrantedCommands;
use crate::control::guard::configured_logins;
use crate::control::identities::KnownIdentities;
use crate::net::upstream::Target;
use crate::worker::handle::{Order, WorkerHandle};
use crate::worker::in_force::{Acknowledgement, InForce};
use crate::worker::link_login::LinkLogin;
use parts::Parts;
use redoubt_core::auth::Identities;
use redoubt_core::command::ServerCommands;
use redoubt_core::session::{ClientFields, ClientIds, Parameters, StandIn};
use redoubt_core::upstream::{Credentials, Greeting};

pub(crate) use finding::Finding;
pub(crate) use parts::{Configured, Reload, compat, enforced, keys, script_rules_differ};

/// Composes the value in force and sends it to the workers.
///
/// Its async functions are not cancel safe: a cancelled change may have reached only some workers,
/// until the next change sends them the whole value. So they are cancelled only where another
/// change follows, and at the stop.
pub(crate) struct Composer {
    composed: Mutex<Composed>,
    workers: Vec<WorkerHandle>,
    settings: watch::Sender<Arc<Settings>>,
    /// The address of connections that the control plane opens for itself.
    target: watch::Sender<Target>,
    /// The configured credentials. The control plane's own connections use them at once; links use
    /// them when the provisioning of the guard has found out how links log in.
    credentials: watch::Sender<Credentials>,
}

struct Composed {
    parts: Parts,
    current: Arc<InForce>,
}

/// How links log in at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLogin {
    /// Links log in with the configured credentials.
    Configured,
    /// The login is not known yet; links wait until it is found out.
    ToBeFound {
        /// `true` if links will log in as a guard, if one can be made.
        guarded: bool,
    },
}

impl Composer {
    /// Composes the first value in force; `credentials` are configured for the upstream.
    ///
    /// # Errors
    /// The system provides no random numbers.
    pub(crate) fn new(
        configured: Configured,
        identities: Identities,
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
                FirstLogin::Configured => {
                    let identities = configured_logins(&configured.identities);
                    (LinkLogin::configured(credentials.clone(), identities), false)
                }
                FirstLogin::ToBeFound { guarded } => (LinkLogin::default(), guarded),
            };
            let mut random = [0; 4];
            getrandom::fill(&mut random)?;
            let client_ids = ClientIds::new(u32::from_le_bytes(random));
            Parts::new(configured, identities, login, guarded, stand_in, client_ids)
        };
        let current = Arc::new(parts.compose(1));
        let composed = Mutex::new(Composed { parts, current });
        Ok(Self { composed, workers, settings, target, credentials })
    }

    /// Returns the value that workers start with.
    pub(crate) fn first(&mut self) -> Arc<InForce> {
        Arc::clone(&self.composed.get_mut().current)
    }

    /// Returns the current settings.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Returns the identities of the configuration.
    pub(crate) async fn identities(&self) -> KnownIdentities {
        Arc::clone(self.composed.lock().await.parts.identities())
    }

    /// Returns a receiver of the upstream's address and its changes.
    pub(crate) fn target(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    /// Returns a receiver of the configured credentials and their changes.
    pub(crate) fn credentials(&self) -> watch::Receiver<Credentials> {
        self.credentials.subscribe()
    }

    /// Makes the control plane's own connections log in with `credentials`, and makes the
    /// provisioning of the guard find out how links log in with them.
    pub(crate) fn log_in_with(&self, credentials: Credentials) {
        self.credentials.send_replace(credentials);
    }

    /// Accepts the passwords of `identities` from clients. Sessions that logged in with another
    /// password are closed.
    pub(crate) async fn accept_clients(&self, identities: Identities) {
        self.change(|parts| parts.accept(identities)).await;
    }

    /// Takes the server that is the primary; `None` if none is known. Links go there from now on, and those to the server
    /// before are closed. Returns whether it is another one.
    pub(crate) async fn take_node(&self, node: Option<Node>) -> bool {
        let is_new = self.target.send_if_modified(|target| {
            let is_new = target.node != node;
            target.node.clone_from(&node);
            is_new
        });
        self.change(|parts| parts.take_node(node)).await;
        is_new
    }

    /// Takes what the upstream reported of its version.
    pub(crate) async fn take_server(&self, greeting: Greeting) {
        self.change(|parts| parts.take_server(greeting)).await;
    }

    /// Takes the result whether the upstream checks the payloads of `RESTORE`.
    pub(crate) async fn take_payload_check(&self, checks: bool) {
        self.change(|parts| parts.take_payload_check(checks)).await;
    }

    /// Takes the commands that the upstream has; `None` if it does not list them.
    pub(crate) async fn take_client_fields(&self, fields: ClientFields) {
        self.change(|parts| parts.take_client_fields(fields)).await;
    }

    pub(crate) async fn take_commands(&self, commands: Option<Arc<ServerCommands>>) {
        self.change(|parts| parts.take_commands(commands)).await;
    }

    /// Takes the functions that the pinned libraries have.
    pub(crate) async fn take_functions(&self, functions: HashSet<Bytes>) {
        self.change(|parts| parts.take_functions(Arc::new(functions))).await;
    }

    /// Takes the values of the upstream's parameters; `None` if they are unknown.
    pub(crate) async fn take_parameters(&self, parameters: Option<Arc<Parameters>>) {
        self.change(|parts| parts.take_parameters(parameters)).await;
    }

    /// Takes the grants in force.
    pub(crate) async fn take_grants(&self, granted: GrantedCommands) {
        self.change(|parts| parts.take_grants(granted)).await;
    }

    /// Takes what was found out about how links log in.
    pub(crate) async fn take_finding(&self, finding: Finding) {
        self.change(|parts| parts.take_finding(finding)).await;
    }

    /// Announces a reload to the control plane's own connections. [`Composer::reload`] must follow.
    /// Returns whether the credentials are new.
    pub(crate) fn configure(&self, configured: &Configured, credentials: &Credentials) -> bool {
        self.settings.send_replace(Arc::clone(&configured.settings));
        self.target.send_modify(|target| {
            let node = target.node.take();
            *target = Target { node, ..configured.target.clone() };
        });
        self.credentials.send_if_modified(|current| {
            let is_new = !current.are(credentials);
            if is_new {
                *current = credentials.clone();
            }
            is_new
        })
    }

    /// Puts a reload in force in all workers. Waits until each worker has applied it and Redis has
    /// processed what was sent over closed links. Returns how many sessions were closed.
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
            warn!("Redis is still busy with commands that were sent before the reload");
        }
        ended
    }

    /// Makes a change, and sends the new value to all workers. `change` returns whether the value
    /// changes.
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

/// Returns the requests that replace clients' requests on links that log in with `credentials`.
fn stand_in(credentials: &Credentials) -> Result<StandIn, getrandom::Error> {
    let password = credentials.password.as_ref().map(|p| p.expose_secret().as_bytes());
    Ok(StandIn::new(credentials.user.as_deref(), password, getrandom::u64()?))
}
