//! Watching which functions the pinned libraries have.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::control::in_force::Composer;
use crate::net::conversation::Conversation;
use crate::net::upstream::{Target, UpstreamError};
use redoubt_core::upstream::{Credentials, FunctionList, ListError};

/// Asks the upstream again and again which functions the pinned libraries have, over a connection
/// of its own, and tells the workers. Until it has answered, none may run.
///
/// While it cannot be reached or is busy, what it last said holds, as nobody but the operator can
/// have changed it; when that connection ends, it is asked again at once. When it refuses to say,
/// none may run.
pub(crate) struct FunctionWatch {
    pub(crate) target: watch::Receiver<Target>,
    pub(crate) credentials: watch::Receiver<Credentials>,
    pub(crate) libraries: HashSet<Bytes>,
    pub(crate) composer: Arc<Composer>,
    /// Told when workers have been told for the first time.
    pub(crate) told: Arc<Notify>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    List(#[from] ListError),
}

impl FunctionWatch {
    /// From one question to the next.
    const INTERVAL: Duration = Duration::from_secs(5);
    /// After a failed try; doubled each time, up to [`Self::INTERVAL`].
    const FIRST_WAIT: Duration = Duration::from_millis(100);

    pub(crate) async fn run(self, end: CancellationToken) {
        tokio::select! {
            () = end.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        let mut link = None;
        let mut known = None;
        let mut retry = Self::FIRST_WAIT;
        loop {
            let mut wait = Self::INTERVAL;
            match self.ask(&mut link).await {
                Ok(functions) => {
                    self.tell(functions, &mut known).await;
                    retry = Self::FIRST_WAIT;
                }
                Err(Failure::List(error)) if error != ListError::Busy => {
                    if known.as_ref().is_none_or(|known: &HashSet<_>| !known.is_empty()) {
                        warn!(%error, "functions of pinned libraries are unknown, so none may run");
                    }
                    self.tell(HashSet::new(), &mut known).await;
                    link = None;
                }
                Err(error) => {
                    debug!(%error, "cannot ask for functions");
                    wait = retry;
                    retry = (retry * 2).min(Self::INTERVAL);
                }
            }
            if tokio::time::timeout(wait, closed(&mut link)).await.is_ok() {
                // Redis may come back with other libraries.
                tokio::time::sleep(Self::FIRST_WAIT).await;
            }
        }
    }

    /// Every time, as a reload may have put another list in force meanwhile.
    async fn tell(&self, functions: HashSet<Bytes>, known: &mut Option<HashSet<Bytes>>) {
        if known.as_ref() != Some(&functions) {
            info!(functions = functions.len(), "functions of pinned libraries");
        }
        self.composer.take_functions(functions.clone()).await;
        *known = Some(functions);
        self.told.notify_one();
    }

    /// One question, over `link` if there is one, else over a new one that is left there.
    async fn ask(&self, link: &mut Option<Conversation>) -> Result<HashSet<Bytes>, Failure> {
        let target = self.target.borrow().clone();
        let asked = async {
            let mut used = match link.take() {
                Some(link) => link,
                None => {
                    let credentials = self.credentials.borrow().clone();
                    target.log_in(&credentials).await?.0
                }
            };
            let (mut list, request) = FunctionList::of(&self.libraries);
            let answer = used.exchange(&request, |bytes| list.receive(bytes).transpose()).await;
            let answer = answer.map_err(|source| target.broken(source))?;
            *link = Some(used);
            Ok(answer?)
        };
        let timed_out = |_| Err(target.timed_out().into());
        tokio::time::timeout(target.timeout, asked).await.unwrap_or_else(timed_out)
    }
}

/// Returns when the link, if there is one, has ended or said what nobody asked for.
async fn closed(link: &mut Option<Conversation>) {
    match link {
        Some(used) => {
            used.until_disturbed().await;
            *link = None;
        }
        None => std::future::pending().await,
    }
}
