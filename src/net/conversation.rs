//! A connection on which Redoubt sends requests of its own to Redis.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::stream::Stream;
use redoubt_core::upstream::guard::{Answer, Answers, Batch};

/// A connection on which no reply is pending.
pub(crate) struct Conversation {
    stream: Stream,
}

impl Conversation {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Returns the connection, so that its socket options can be changed.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sends `request` and hands what arrives to `receive` until `receive` returns a value. Has no
    /// time limit; the caller sets one. The conversation must be dropped after an error or a
    /// cancellation, since a reply may still arrive.
    pub(crate) async fn exchange<T>(
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
    pub(crate) async fn ask(&mut self, batch: &Batch) -> io::Result<Vec<Answer>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = Answers::to(batch);
        let answers = self.exchange(batch.bytes(), |bytes| answers.receive(bytes).transpose());
        answers.await?.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Returns when the peer has closed or broken the connection, or has sent something without a
    /// request.
    pub(crate) async fn until_disturbed(&mut self) {
        let _ = self.stream.read(&mut [0]).await;
    }

    /// Returns when the peer has closed or broken the connection, with the reason; what the peer
    /// sends is dropped.
    pub(crate) async fn until_closed(&mut self) -> io::Error {
        let mut buffer = [0; 512];
        loop {
            match self.stream.read(&mut buffer).await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}
