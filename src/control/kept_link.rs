//! A connection over which the control plane asks the upstream the same question again and again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Node;
use crate::net::conversation::Conversation;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::upstream::Credentials;

/// A connection that is logged in as the configured user. It is opened when a question needs it, and kept.
pub(crate) struct KeptLink {
    target: watch::Receiver<Target>,
    credentials: watch::Receiver<Credentials>,
    link: Option<Conversation>,
    /// The server that `link` goes to.
    node: Option<Node>,
}

impl KeptLink {
    /// Opens nothing yet.
    pub(crate) fn new(
        target: watch::Receiver<Target>,
        credentials: watch::Receiver<Credentials>,
    ) -> Self {
        Self { target, credentials, link: None, node: None }
    }

    /// Asks `question`, with the time limit for opening a link. After an error the connection is closed.
    ///
    /// # Errors
    /// The upstream cannot be reached, rejects the user, or does not answer in time.
    pub(crate) async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut Conversation) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        self.ask_within(Duration::ZERO, question).await
    }

    /// Like [`KeptLink::ask`], with `limit` as the time limit if that is longer.
    ///
    /// # Errors
    /// See [`KeptLink::ask`].
    pub(crate) async fn ask_within<T>(
        &mut self,
        limit: Duration,
        question: impl AsyncFnOnce(&mut Conversation) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let target = self.target.borrow().clone();
        let limit = target.timeout.max(limit);
        if self.node != target.node {
            self.link = None;
            self.node.clone_from(&target.node);
        }
        let asked = async {
            let mut used = match self.link.take() {
                Some(link) => link,
                None => {
                    let credentials = self.credentials.borrow().clone();
                    target.log_in(&credentials).await?.0
                }
            };
            let answer = question(&mut used).await?;
            self.link = Some(used);
            Ok(answer)
        };
        timeout(limit, asked).await.unwrap_or_else(|_| Err(target.timed_out()))
    }

    /// Returns when the connection, if it is open, has ended or has brought something without a question; then
    /// it is closed.
    pub(crate) async fn until_disturbed(&mut self) {
        match &mut self.link {
            Some(link) => {
                link.until_disturbed().await;
                self.link = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.link = None;
    }
}
