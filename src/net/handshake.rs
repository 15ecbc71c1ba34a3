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

/// What a TLS handshake with a client needs.
pub(crate) struct Handshake {
    pub(crate) server: Arc<tls::Server>,
    /// When the handshake must be over.
    pub(crate) deadline: Instant,
    /// Counts a failed handshake.
    pub(crate) refusals: Arc<Refusals>,
}

/// How long the connection stays open after a failed handshake, so that the client can read the
/// alert.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are read and dropped during [`LINGER`].
const MOST_DROPPED: u64 = 64 << 10;

impl Handshake {
    /// Performs the handshake with `peer`. Returns `None` if it failed or the client has left. A
    /// panic ends this connection only.
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
            // A client that connects and leaves, such as a health check, is not counted as refused.
            Some(Ok(None)) => {
                debug!(%peer, "a client left before the handshake");
                return None;
            }
            Some(Ok(Some(Err((reason, stream))))) => (reason, Some(stream)),
            Some(Err(elapsed)) => (elapsed.into(), None),
            None => {
                error!(%peer, "internal error: a panic during a TLS handshake ended the connection; please report it");
                return None;
            }
        };
        tls_handshake(Side::Client, false);
        debug!(%peer, %reason, "TLS handshake with a client failed");
        self.refusals.count(Refusal::TlsHandshake, Instant::now());
        if let Some(stream) = stream {
            linger(stream).await;
        }
        None
    }

    /// Performs the handshake, pausing while clients must wait for the audit log. Returns `None` if
    /// the client leaves without having sent anything.
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

/// Waits so that the client can read the TLS alert: closing a socket that has unread bytes would
/// send a reset, which discards the alert.
async fn linger(mut stream: TcpStream) {
    let reads = async {
        stream.shutdown().await?;
        let mut rest = stream.take(MOST_DROPPED);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, reads).await;
}
