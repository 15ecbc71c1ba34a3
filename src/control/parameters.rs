//! Reads the values of the server's parameters with which Redoubt answers `CONFIG GET` and the like.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `parameters of Redis cannot be read; …` | warn | `reason` |
//! | `parameters of Redis are known` | info | |

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::control::in_force::Composer;
use crate::control::kept_link::KeptLink;
use crate::net::conversation::Conversation;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::session::Parameters;
use redoubt_core::upstream::Credentials;

/// Asks the upstream every second for the values, and puts them in force. It has a connection of its own that is
/// logged in as the configured user: the guard, as whom the watch of the server is logged in, may not run `CONFIG`.
///
/// When the upstream cannot be reached, is busy or refuses to answer, the values count as unknown.
pub(crate) struct ParameterWatch {
    pub(crate) target: watch::Receiver<Target>,
    pub(crate) credentials: watch::Receiver<Credentials>,
    pub(crate) composer: Arc<Composer>,
    /// Notified when the first answer is in force.
    pub(crate) answered: Arc<Notify>,
}

/// The reason why the values are unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The server's own error.
    #[error("{0}")]
    Refused(String),
    #[error("the answer makes no sense")]
    Nonsense,
}

/// Returns the values of the server behind `link`, whose user may have to lack the right to read them.
///
/// # Errors
/// The connection broke.
pub(crate) async fn parameters(
    link: &mut Conversation,
) -> Result<Result<Parameters, Unreadable>, UpstreamError> {
    let answers = link.ask(&Parameters::questions()).await?;
    Ok(Parameters::of(&answers).map_err(|text| match text {
        Some(text) => Unreadable::Refused(text.escape_debug().take(200).collect()),
        None => Unreadable::Nonsense,
    }))
}

impl ParameterWatch {
    /// Time from an answer to the next question.
    const INTERVAL: Duration = Duration::from_secs(1);
    /// Wait after the connection has ended.
    const AGAIN: Duration = Duration::from_millis(100);

    pub(crate) async fn run(self, end: CancellationToken) {
        tokio::select! {
            () = end.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        let mut link = KeptLink::new(self.target.clone(), self.credentials.clone());
        let mut before = None;
        loop {
            let found = link.ask(parameters).await;
            let now = match &found {
                Ok(Ok(_)) => Some(Ok(())),
                Ok(Err(reason)) => Some(Err(reason.clone())),
                Err(error) => {
                    debug!(
                        error = error.chain(),
                        "cannot ask Redis for its parameters; trying again"
                    );
                    None
                }
            };
            let parameters = found.ok().and_then(Result::ok).map(Arc::new);
            let is_known = parameters.is_some();
            self.composer.take_parameters(parameters).await;
            if now.is_some() && now != before {
                match &now {
                    Some(Err(reason)) => warn!(
                        %reason,
                        "parameters of Redis cannot be read; commands that policy.compat answers are refused"
                    ),
                    _ => info!("parameters of Redis are known"),
                }
                before = now;
            }
            if is_known || before.is_some() {
                self.answered.notify_one();
            }
            if timeout(Self::INTERVAL, link.until_disturbed()).await.is_ok() {
                // Another server may answer at the address.
                self.composer.take_parameters(None).await;
                sleep(Self::AGAIN).await;
            }
        }
    }
}
