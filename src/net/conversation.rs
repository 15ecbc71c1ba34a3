//! A connection on which Redoubt itself asks Redis something.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::stream::Stream;
use redoubt_core::upstream::guard::{Answer, Answers, Batch};

/// A connection with nothing due on it.
pub(crate) struct Conversation {
    stream: Stream,
}

impl Conversation {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// The connection, for its options.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sends `request` and hands what arrives to `receive`, until that returns something. Not bounded in
    /// time; the caller does that. To be dropped after an error, and when it was cancelled.
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

    /// Sends a batch and takes its answers, as [`Conversation::exchange`].
    pub(crate) async fn ask(&mut self, batch: &Batch) -> io::Result<Vec<Answer>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = Answers::to(batch);
        let answers = self.exchange(batch.bytes(), |bytes| answers.receive(bytes).transpose());
        answers.await?.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Returns when the peer has closed or broken the connection, or has sent what nobody asked for.
    pub(crate) async fn until_disturbed(&mut self) {
        let _ = self.stream.read(&mut [0]).await;
    }

    /// Returns when the peer has closed or broken the connection, and how; what it sends is dropped.
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
