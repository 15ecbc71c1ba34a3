//! Finds the server that is the primary, where there are several: of a list, or by Sentinels.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `the primary is here` | info | `node` |
//! | `no primary` | warn | `reason`, once for each change of it |

mod agreement;
mod sentinel;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::sentinel::Sentinels;
use crate::config::{Endpoint, Node, Servers};
use crate::net::upstream::Target;
use crate::net::upstream_error::{NoPrimary, UpstreamError};
use redoubt_core::upstream::{Credentials, Role};

/// How long servers at the front of the list may take longer than one that is a primary.
const GRACE: Duration = Duration::from_millis(200);

/// The changes of what the Sentinels agree on.
pub(crate) struct News(Option<watch::Receiver<Result<Endpoint, NoPrimary>>>);

impl News {
    /// Returns at the next change; never returns if there are no Sentinels.
    pub(crate) async fn next(&mut self) {
        let is_over = match &mut self.0 {
            Some(agreed) => agreed.changed().await.is_err(),
            None => true,
        };
        if is_over {
            std::future::pending().await
        }
    }
}

/// Finds the server that is the primary.
pub(crate) struct Finder {
    servers: Arc<Servers>,
    sentinels: Option<Arc<Sentinels>>,
    /// What was logged last.
    logged: Mutex<Option<Result<Node, NoPrimary>>>,
}

/// What came of asking a server for its role.
type Asked = Result<Option<Role>, UpstreamError>;

impl Finder {
    /// `target` is how the Sentinels are connected to, with `credentials` of their own.
    pub(crate) fn new(servers: Arc<Servers>, target: Target, credentials: Credentials) -> Self {
        let sentinels = match &*servers {
            Servers::Nodes(_) => None,
            Servers::Sentinel { sentinels, name } => {
                Some(Arc::new(Sentinels::new(sentinels, name, target, credentials)))
            }
        };
        Self { servers, sentinels, logged: Mutex::default() }
    }

    /// Returns whether there is a choice of servers.
    pub(crate) fn has_choice(&self) -> bool {
        self.servers.single().is_none()
    }

    /// Listens to the Sentinels until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        if let Some(sentinels) = &self.sentinels {
            Arc::clone(sentinels).run(stop).await;
        }
    }

    /// Returns what the Sentinels agree on from now on.
    pub(crate) fn news(&self) -> News {
        News(self.sentinels.as_ref().map(|sentinels| sentinels.agreed()))
    }

    /// Returns when the Sentinels agree on another server than `node`, or on one if it is `None`. Never returns for a
    /// list.
    pub(crate) async fn is_elsewhere(&self, node: Option<&Node>) {
        let Some(sentinels) = &self.sentinels else { return std::future::pending().await };
        let is_other = |agreed: &Result<Endpoint, NoPrimary>| {
            agreed.as_ref().is_ok_and(|at| Some(&Node::Tcp(at.clone())) != node)
        };
        if sentinels.agreed().wait_for(is_other).await.is_err() {
            std::future::pending().await
        }
    }

    /// Notes that the primary may be lost, so that Sentinels are asked more often.
    pub(crate) fn hurry(&self) {
        self.sentinels.iter().for_each(|sentinels| sentinels.hurry());
    }

    /// Like [`Finder::find`], for one question: the Sentinels are asked now, for as long as a connection may take.
    ///
    /// # Errors
    /// See [`Finder::find`].
    pub(crate) async fn find_once(
        self: Arc<Self>,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Node, NoPrimary> {
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let asking = tokio::spawn(Arc::clone(&self).run(stop));
        if let Some(sentinels) = &self.sentinels {
            let mut agreed = sentinels.agreed();
            let _ = timeout(target.timeout, agreed.wait_for(Result::is_ok)).await;
        }
        let found = self.find(target, credentials).await;
        asking.abort();
        found
    }

    /// Finds the primary: a server that says of itself that it is one.
    /// # Errors
    /// Why there is none.
    pub(crate) async fn find(
        &self,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Node, NoPrimary> {
        let found = match (&*self.servers, &self.sentinels) {
            (_, Some(sentinels)) => {
                let agreed = sentinels.agreed().borrow().clone();
                self.check(agreed, target, credentials).await
            }
            (Servers::Nodes(nodes), None) => first_primary(nodes, target, credentials).await,
            (Servers::Sentinel { .. }, None) => Err(NoPrimary::NotYet),
        };
        if found.is_err() {
            self.hurry();
        }
        found
    }

    /// Logs what was found, if it is another primary than before, or another reason why there is none.
    pub(crate) fn report(&self, found: &Result<Node, NoPrimary>) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.as_ref() != Some(found) {
            match found {
                Ok(node) => info!(%node, "the primary is here"),
                Err(NoPrimary::NotYet) => {}
                Err(reason) => warn!(%reason, "no primary"),
            }
            *logged = Some(found.clone());
        }
    }

    /// Checks the server that the Sentinels name. While they name none, the present one stays if it still is a primary.
    async fn check(
        &self,
        agreed: Result<Endpoint, NoPrimary>,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Node, NoPrimary> {
        let (node, reason) = match (agreed, &target.node) {
            (Ok(at), _) => (Node::Tcp(at), None),
            (Err(reason), Some(node)) => (node.clone(), Some(reason)),
            (Err(reason), None) => return Err(reason),
        };
        match role(target, node.clone(), credentials).await {
            Ok(Some(Role::Primary)) => Ok(node),
            other => {
                Err(reason.unwrap_or_else(|| NoPrimary::Named { node, problem: problem(&other) }))
            }
        }
    }
}

/// Returns the first of `nodes` that is a primary. All are asked at once.
async fn first_primary(
    nodes: &[Node],
    target: &Target,
    credentials: &Credentials,
) -> Result<Node, NoPrimary> {
    let mut asks = JoinSet::new();
    for (place, node) in nodes.iter().enumerate() {
        let (target, node, credentials) = (target.clone(), node.clone(), credentials.clone());
        asks.spawn(async move { (place, role(&target, node, &credentials).await) });
    }
    let mut answers: Vec<Option<Asked>> = nodes.iter().map(|_| None).collect();
    let is_primary = |answer: &Option<Asked>| matches!(answer, Some(Ok(Some(Role::Primary))));
    loop {
        let found = answers.iter().position(is_primary);
        let is_first = found.is_some_and(|at| answers.iter().take(at).all(Option::is_some));
        let next = tokio::select! {
            next = asks.join_next(), if !is_first => next,
            () = sleep(GRACE), if found.is_some() && !is_first => None,
            else => None,
        };
        match (next, found) {
            (Some(Ok((place, answer))), _) => {
                if let Some(one) = answers.get_mut(place) {
                    *one = Some(answer);
                }
            }
            (Some(Err(_)), _) => {}
            (None, Some(at)) => return nodes.get(at).cloned().ok_or(NoPrimary::NotYet),
            (None, None) => break,
        }
    }
    let shown = nodes.iter().zip(&answers).map(|(node, answer)| match answer {
        Some(answer) => format!("{node}: {}", problem(answer)),
        None => format!("{node}: no answer"),
    });
    Err(NoPrimary::None(shown.collect::<Vec<_>>().join(", ")))
}

/// Asks a server for its role.
async fn role(target: &Target, node: Node, credentials: &Credentials) -> Asked {
    let target = Target { node: Some(node), ..target.clone() };
    let asked = timeout(target.timeout, target.log_in(credentials)).await;
    let (_, greeting) = asked.unwrap_or_else(|_| Err(target.timed_out()))?;
    Ok(greeting.role)
}

fn problem(asked: &Asked) -> String {
    match asked {
        Ok(Some(Role::Primary)) => "a primary".to_owned(),
        Ok(Some(Role::Replica)) => "which is a replica".to_owned(),
        Ok(None) => "which does not tell its role".to_owned(),
        Err(error) => error.chain(),
    }
}
