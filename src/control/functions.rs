//! Watches which functions the pinned libraries have.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::control::in_force::Composer;
use crate::control::kept_link::KeptLink;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::upstream::{Credentials, FunctionList, ListError};

/// Asks the upstream at intervals for the functions of the pinned libraries, over a connection of
/// its own, and sends them to the workers. Until the first answer, no function may run.
///
/// While the upstream cannot be reached or is busy, the last answer stays in force, as only the
/// operator can have changed the libraries; when the connection ends, the next question follows at
/// once. If the upstream refuses to answer, no function may run.
pub(crate) struct FunctionWatch {
    pub(crate) target: watch::Receiver<Target>,
    pub(crate) credentials: watch::Receiver<Credentials>,
    pub(crate) libraries: HashSet<Bytes>,
    pub(crate) composer: Arc<Composer>,
    /// Notified when the workers have the first answer.
    pub(crate) answered: Arc<Notify>,
}

/// The reason why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    List(#[from] ListError),
}

impl FunctionWatch {
    /// Time between two questions.
    const INTERVAL: Duration = Duration::from_secs(5);
    /// First wait after a failure; doubled each time, up to [`Self::INTERVAL`].
    const FIRST_WAIT: Duration = Duration::from_millis(100);

    pub(crate) async fn run(self, end: CancellationToken) {
        tokio::select! {
            () = end.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        let mut link = KeptLink::new(self.target.clone(), self.credentials.clone());
        let mut known = None;
        let mut retry = Self::FIRST_WAIT;
        loop {
            let mut wait = Self::INTERVAL;
            match self.ask(&mut link).await {
                Ok(functions) => {
                    self.publish(functions, &mut known).await;
                    retry = Self::FIRST_WAIT;
                }
                Err(Failure::List(error)) if error != ListError::Busy => {
                    if known.as_ref().is_none_or(|known: &HashSet<_>| !known.is_empty()) {
                        warn!(%error, "functions of pinned libraries are unknown, so no function may run");
                    }
                    self.publish(HashSet::new(), &mut known).await;
                    link.close();
                }
                Err(error) => {
                    debug!(%error, "cannot ask Redis for functions; trying again");
                    wait = retry;
                    retry = (retry * 2).min(Self::INTERVAL);
                }
            }
            if tokio::time::timeout(wait, link.until_disturbed()).await.is_ok() {
                // Redis may have other libraries when it comes back.
                tokio::time::sleep(Self::FIRST_WAIT).await;
            }
        }
    }

    /// Sends the functions to the workers every time, as a reload may have put another list in
    /// force meanwhile.
    async fn publish(&self, functions: HashSet<Bytes>, known: &mut Option<HashSet<Bytes>>) {
        if known.as_ref() != Some(&functions) {
            info!(functions = functions.len(), "functions of pinned libraries");
        }
        self.composer.take_functions(functions.clone()).await;
        *known = Some(functions);
        self.answered.notify_one();
    }

    async fn ask(&self, link: &mut KeptLink) -> Result<HashSet<Bytes>, Failure> {
        let (mut list, request) = FunctionList::of(&self.libraries);
        let receive = |bytes: &[u8]| list.receive(bytes).transpose();
        Ok(link.ask(async |link| link.exchange(&request, receive).await).await??)
    }
}
