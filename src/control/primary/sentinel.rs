//! Asks the Sentinels which server is the primary, again and again, and listens to what they announce.
//!
//! Each Sentinel has a task with two connections: over one it is asked, over the other it announces `+switch-master`.
//! Others that more than half of them name are asked too. What they say is a hint only: before a link carries
//! anything, the server itself must say that it is a primary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use super::agreement::{self, AllSaid, Said};
use crate::config::{Endpoint, Node};
use crate::net::conversation::Conversation;
use crate::net::upstream::Target;
use crate::net::upstream_error::{NoPrimary, UpstreamError};
use redoubt_core::upstream::Credentials;
use redoubt_core::upstream::guard::{Answer, Batch};

/// The Sentinels of one primary.
pub(super) struct Sentinels {
    name: String,
    configured: Vec<Endpoint>,
    /// How they are connected to; its `node` is replaced.
    target: Target,
    credentials: Credentials,
    said: Mutex<AllSaid>,
    /// What they agree on.
    agreed: watch::Sender<Result<Endpoint, NoPrimary>>,
    /// Until when they are asked more often, since something changes.
    hurry: watch::Sender<Option<Instant>>,
}

impl Sentinels {
    /// Time between two questions.
    const USUALLY: Duration = Duration::from_secs(1);
    /// Time between two questions while something changes.
    const IN_A_HURRY: Duration = Duration::from_millis(100);
    /// How long a change may take.
    const CHANGE: Duration = Duration::from_secs(15);
    /// Most Sentinels that are asked.
    const MOST: usize = 16;

    pub(super) fn new(
        configured: &[Endpoint],
        name: &str,
        target: Target,
        credentials: Credentials,
    ) -> Self {
        Self {
            name: name.to_owned(),
            configured: configured.to_vec(),
            target,
            credentials,
            said: Mutex::default(),
            agreed: watch::Sender::new(Err(NoPrimary::NotYet)),
            hurry: watch::Sender::new(None),
        }
    }

    /// Returns what they agree on, and its changes.
    pub(super) fn agreed(&self) -> watch::Receiver<Result<Endpoint, NoPrimary>> {
        self.agreed.subscribe()
    }

    /// Asks them more often for a while, since the primary is lost.
    pub(super) fn hurry(&self) {
        self.hurry.send_replace(Some(Instant::now() + Self::CHANGE));
    }

    /// Asks them until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks: BTreeMap<Endpoint, DropGuard> = BTreeMap::new();
        let mut agreed = self.agreed.subscribe();
        let mut known = self.configured.clone();
        loop {
            tasks.retain(|at, _| {
                let is_kept = known.contains(at);
                if !is_kept {
                    info!(sentinel = %at, "the Sentinels do not name this one any more");
                    self.said().remove(at);
                }
                is_kept
            });
            for at in &known {
                if !tasks.contains_key(at) {
                    let ending = stop.child_token();
                    if !self.configured.contains(at) {
                        info!(sentinel = %at, "the Sentinels name another Sentinel");
                    }
                    self.said().insert(at.clone(), Said::Nothing);
                    let task = Arc::clone(&self).ask_one(at.clone());
                    let until = ending.clone();
                    tokio::spawn(async move {
                        let _ = until.run_until_cancelled(task).await;
                    });
                    tasks.insert(at.clone(), ending.drop_guard());
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = agreed.changed() => {}
                () = sleep(Self::USUALLY) => {}
            }
            let named = agreement::sentinels(&self.said());
            known.clone_from(&self.configured);
            let more = named.into_iter().filter(|at| !self.configured.contains(at));
            known.extend(more);
            known.truncate(Self::MOST);
        }
    }

    /// Asks one Sentinel, for ever.
    async fn ask_one(self: Arc<Self>, at: Endpoint) {
        let target = Target { node: Some(Node::Tcp(at.clone())), ..self.target.clone() };
        let mut wait = Self::IN_A_HURRY;
        loop {
            let before = Instant::now();
            let Err(error) = self.stay_with(&at, &target).await;
            debug!(sentinel = %at, error = %error.chain(), "a Sentinel is not to be had");
            self.heard(&at, Said::Nothing);
            if before.elapsed() > Self::USUALLY {
                wait = Self::IN_A_HURRY;
            }
            self.pause(wait).await;
            wait = (wait * 2).min(Self::USUALLY);
        }
    }

    /// # Errors
    /// The Sentinel cannot be reached, or does not answer in time.
    async fn stay_with(
        &self,
        at: &Endpoint,
        target: &Target,
    ) -> Result<std::convert::Infallible, UpstreamError> {
        let in_time = |opened: Result<_, _>| opened.unwrap_or_else(|_| Err(target.timed_out()));
        let mut questions = Batch::of(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.name]);
        questions.add(&["SENTINEL", "SENTINELS", &self.name]);
        let opened = timeout(target.timeout, async {
            let (asked, _) = target.log_in(&self.credentials).await?;
            let (mut announces, _) = target.log_in(&self.credentials).await?;
            announces.ask(&Batch::of(&["SUBSCRIBE", "+switch-master"])).await?;
            Ok((asked, announces))
        });
        let (mut asked, mut announces): (Conversation, Conversation) = in_time(opened.await)?;
        loop {
            let answers = timeout(target.timeout, asked.ask(&questions)).await;
            let answers = answers.unwrap_or_else(|_| Err(target.timed_out()))?;
            self.heard(at, said(&answers)?);
            tokio::select! {
                () = self.pause(Self::USUALLY) => {}
                // What is announced is asked for: an announcement alone may be old, or of another primary.
                () = announces.until_disturbed() => {
                    self.hurry();
                    let again = timeout(target.timeout, async {
                        let (mut announces, _) = target.log_in(&self.credentials).await?;
                        announces.ask(&Batch::of(&["SUBSCRIBE", "+switch-master"])).await?;
                        Ok(announces)
                    });
                    announces = again.await.unwrap_or_else(|_| Err(target.timed_out()))?;
                }
                ended = asked.until_closed() => return Err(ended),
            }
        }
    }

    /// Waits for this time, or for less while something changes.
    async fn pause(&self, usually: Duration) {
        let mut hurry = self.hurry.subscribe();
        let hurries = |until: &Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        let is_hurried = async {
            let _ = hurry.wait_for(hurries).await;
            sleep(Self::IN_A_HURRY).await;
        };
        tokio::select! {
            () = sleep(usually) => {}
            () = is_hurried => {}
        }
    }

    /// Takes what a Sentinel has said.
    fn heard(&self, at: &Endpoint, said: Said) {
        let mut all = self.said();
        if let Some(before) = all.get_mut(at) {
            *before = said;
        }
        let agreed = agreement::primary(&all);
        drop(all);
        self.agreed.send_if_modified(|before| {
            let is_new = *before != agreed;
            *before = agreed;
            is_new
        });
    }

    fn said(&self) -> MutexGuard<'_, AllSaid> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the answers of a Sentinel.
///
/// # Errors
/// It is no Sentinel.
fn said(answers: &[Answer]) -> Result<Said, UpstreamError> {
    let others = match answers.get(1) {
        Some(Answer::Array(lines)) => {
            lines.iter().filter_map(sentinel).take(Sentinels::MOST).collect()
        }
        _ => Vec::new(),
    };
    match answers.first() {
        Some(Answer::Array(parts)) => {
            let at = match parts.as_slice() {
                [host, port] => endpoint(text(host), text(port)),
                _ => None,
            };
            at.map_or(Ok(Said::Nothing), |at| Ok(Said::Primary { at, others }))
        }
        Some(Answer::Null) => Ok(Said::NoSuchName),
        _ => Ok(Said::Nothing),
    }
}

/// Reads a line of `SENTINEL SENTINELS`: names and values in turn.
fn sentinel(line: &Answer) -> Option<Endpoint> {
    let Answer::Array(fields) = line else { return None };
    let (pairs, _) = fields.as_chunks::<2>();
    let value = |name: &str| {
        let pair = pairs.iter().find(|[field, _]| text(field) == Some(name));
        pair.and_then(|[_, value]| text(value))
    };
    endpoint(value("ip"), value("port"))
}

fn text(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn endpoint(host: Option<&str>, port: Option<&str>) -> Option<Endpoint> {
    let (host, port) = (host?, port?);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{host}:{port}").parse().ok().filter(|endpoint: &Endpoint| endpoint.port > 0)
}
