//! The TLS handshake of a client, before its session begins.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, error};

use crate::audit;
use crate::net::peer::Peer;
use crate::net::refusals::Refusals;
use crate::telemetry::metrics::{Side, tls_handshake};
use crate::tls;
use redoubt_core::auth::Refusal;

/// What it takes to shake hands with a client.
pub(crate) struct Handshake {
    pub(crate) server: Arc<tls::Server>,
    /// When it must be over.
    pub(crate) deadline: Instant,
    /// Where it is counted if it fails.
    pub(crate) refusals: Arc<Refusals>,
}

/// How long a client with whom hands could not be shaken may take to notice why.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes of it that are read and dropped meanwhile.
const MOST_DROPPED: u64 = 64 << 10;

impl Handshake {
    /// Shakes hands with `peer`. `None` when it was refused or is gone. A panic costs this
    /// connection alone.
    pub(crate) async fn shake(self, stream: TcpStream, peer: &Peer) -> Option<tls::Stream> {
        let mut shaking = pin!(timeout_at(self.deadline, self.accept(stream)));
        let caught = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| shaking.as_mut().poll(cx)));
            polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
        });
        let (reason, stream) = match caught.await {
            Some(Ok(Some(Ok(stream)))) => {
                tls_handshake(Side::Client, true);
                return Some(stream);
            }
            // Who only looks whether somebody listens is not refused.
            Some(Ok(None)) => {
                debug!(%peer, "a client left before the handshake");
                return None;
            }
            Some(Ok(Some(Err((reason, stream))))) => (reason, Some(stream)),
            Some(Err(elapsed)) => (elapsed.into(), None),
            None => {
                error!(%peer, "lost a connection: a defect");
                return None;
            }
        };
        tls_handshake(Side::Client, false);
        debug!(%peer, %reason, "no TLS with a client");
        self.refusals.count(Refusal::TlsHandshake, Instant::now());
        if let Some(stream) = stream {
            linger(stream).await;
        }
        None
    }

    /// Shakes hands, but for the while in which clients have to wait for the audit log. `None` when
    /// the client leaves without a word.
    async fn accept(
        &self,
        stream: TcpStream,
    ) -> Option<Result<tls::Stream, (io::Error, TcpStream)>> {
        if !matches!(stream.peek(&mut [0]).await, Ok(1..)) {
            return None;
        }
        let mut audit_is_full = audit::full();
        let mut accepting = pin!(self.server.accept(stream));
        loop {
            let is_open = !*audit_is_full.borrow_and_update();
            tokio::select! {
                biased;
                Ok(()) = audit_is_full.changed() => {}
                accepted = &mut accepting, if is_open => return Some(accepted),
                else => std::future::pending().await,
            }
        }
    }
}

/// Lets the client read the alert that says why: to close with its bytes unread would take that
/// away again.
async fn linger(mut stream: TcpStream) {
    let reads = async {
        stream.shutdown().await?;
        let mut rest = stream.take(MOST_DROPPED);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, reads).await;
}
