//! A connection on which Redoubt itself asks Redis something.

use std::io;

use bytes::BytesMut;
use redis_protocol::resp2::decode::decode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::stream::Stream;
use redoubt_core::resp::ReplyScanner;
use redoubt_core::upstream::guard::{Answer, Batch};

/// Most bytes of the answers to one batch. A Redis with more to tell, such as tens of thousands of
/// users, cannot be asked.
const MAX_ANSWERS: usize = 16 << 20;

/// A connection that is logged in, with nothing due on it.
pub(crate) struct Conversation {
    stream: Stream,
}

impl Conversation {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Sends a batch and takes its answers. Not bounded in time; the caller does that. To be dropped
    /// after an error, and when it was cancelled.
    pub(crate) async fn ask(&mut self, batch: &Batch) -> io::Result<Vec<Answer>> {
        self.stream.write_all(batch.bytes()).await?;
        self.stream.flush().await?;
        let mut answers = Vec::with_capacity(batch.len());
        let (mut scanner, mut received) = (ReplyScanner::new(), BytesMut::new());
        // Bytes of the frame at the front that have been scanned, and of frames already taken.
        let (mut scanned, mut taken) = (0_usize, 0_usize);
        while answers.len() < batch.len() {
            if scanned == received.len() {
                if taken.saturating_add(received.len()) > MAX_ANSWERS {
                    return Err(invalid("more than Redoubt takes in"));
                }
                if self.stream.read_buf(&mut received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let fresh = received.get(scanned..).unwrap_or_default();
            let scan = scanner.scan(fresh).map_err(|_| invalid("no reply of Redis"))?;
            scanned = scanned.saturating_add(scan.len);
            if scan.done {
                let frame = received.split_to(scanned);
                (taken, scanned) = (taken.saturating_add(frame.len()), 0);
                let decoded = decode(&frame).ok().flatten();
                let (answer, _) = decoded.ok_or_else(|| invalid("no reply of Redis 2.0"))?;
                answers.push(answer);
            }
        }
        if received.is_empty() { Ok(answers) } else { Err(invalid("a reply too many")) }
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

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
