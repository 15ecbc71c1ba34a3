//! A connection on which Redoubt sends requests of its own to Redis.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::Node;
use crate::net::own_end::OwnEnd;
use crate::net::stream::Stream;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::upstream::guard::{Answer, Answers, Batch};

/// A connection on which no reply is pending.
pub(crate) struct Conversation {
    stream: Stream,
    /// Whom it is with, for errors.
    node: Node,
    /// Keeps it out of `CLIENT LIST`.
    _own: OwnEnd,
}

impl Conversation {
    pub(crate) fn new(stream: Stream, own: OwnEnd, node: Node) -> Self {
        Self { stream, node, _own: own }
    }

    /// Returns the connection, so that its socket options can be changed.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sends `request` and hands what arrives to `receive` until `receive` returns a value. Has no
    /// time limit; the caller sets one. The conversation must be dropped after an error or a
    /// cancellation, since a reply may still arrive.
    ///
    /// # Errors
    /// [`UpstreamError::Broken`].
    pub(crate) async fn exchange<T>(
        &mut self,
        request: &[u8],
        receive: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, UpstreamError> {
        let exchanged = self.send_and_receive(request, receive).await;
        exchanged.map_err(|source| self.broken(source))
    }

    async fn send_and_receive<T>(
        &mut self,
        request: &[u8],
        mut receive: impl FnMut(&[u8]) -> Option<T>,
    ) -> io::Result<T> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut buffer = [0; 4096];
        loop {
            let len = self.stream.read(&mut buffer).await?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(answer) = receive(buffer.get(..len).unwrap_or_default()) {
                return Ok(answer);
            }
        }
    }

    /// Sends a batch and returns its answers; see [`Conversation::exchange`].
    pub(crate) async fn ask(&mut self, batch: &Batch) -> Result<Vec<Answer>, UpstreamError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = Answers::to(batch);
        let receive = |bytes: &[u8]| answers.receive(bytes).transpose();
        let answers = self.exchange(batch.bytes(), receive).await?;
        answers.map_err(|error| self.broken(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Returns when the peer has closed or broken the connection, or has sent something without a
    /// request.
    pub(crate) async fn until_disturbed(&mut self) {
        let _ = self.stream.read(&mut [0]).await;
    }

    /// Returns when the peer has closed or broken the connection, with the reason; what the peer
    /// sends is dropped.
    pub(crate) async fn until_closed(&mut self) -> UpstreamError {
        let mut buffer = [0; 512];
        loop {
            match self.stream.read(&mut buffer).await {
                Ok(0) => return self.broken(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => return self.broken(error),
            }
        }
    }

    fn broken(&self, source: io::Error) -> UpstreamError {
        UpstreamError::Broken { node: self.node.clone(), source }
    }
}
