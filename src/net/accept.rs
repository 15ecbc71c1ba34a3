//! Accepting clients and handing them to workers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::load::{Load, Place};
use super::worker::WorkerHandle;
use crate::resp::reply;

/// Pause after an accept error that more tries would only repeat, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A client on its way to a worker, with its places in the counts.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) places: [Place; 2],
}

/// Accepts on one listener until `shutdown`.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) workers: Vec<WorkerHandle>,
    pub(super) total: Load,
    pub(super) max_sessions: usize,
    pub(super) keepalive: Option<Duration>,
    pub(super) shutdown: CancellationToken,
}

impl Acceptor {
    pub(super) async fn run(self) {
        let mut pause = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = None;
                    self.hand_over(stream, peer).await;
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection broke before it was accepted");
                }
                Err(error) => {
                    // Once for a row of them: the cause lasts longer than one try.
                    if pause.is_none() {
                        warn!(%error, "cannot accept connections; trying again");
                    }
                    let wait = pause.map_or(PAUSE, |last: Duration| (last * 2).min(MAX_PAUSE));
                    pause = Some(wait);
                    tokio::select! {
                        () = self.shutdown.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    async fn hand_over(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.total.take(self.max_sessions) else {
            // The socket is new, so its buffer has room; a client that is gone is no loss.
            let _ = stream.try_write(&reply::MAX_CLIENTS);
            debug!(%peer, "refused a connection: limits.max_sessions reached");
            return;
        };
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load.sessions()) else {
            return;
        };
        let Some(in_worker) = worker.load.take(usize::MAX) else { return };
        if let Err(error) = prepare(&stream, self.keepalive) {
            debug!(%peer, %error, "cannot set socket options");
        }
        match stream.into_std() {
            Ok(stream) => {
                worker.accept(Accepted { stream, peer, places: [place, in_worker] }).await
            }
            Err(error) => debug!(%peer, %error, "lost a connection"),
        }
    }
}

/// Sets what every connection has: no delay of small writes, and probes of a silent peer.
pub(super) fn prepare(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        // As Redis does: probe after `idle`, then three times within as long again.
        let interval = (idle / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
