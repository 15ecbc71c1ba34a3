//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::door::Door;
use super::listen::BACKLOG;
use super::load::Place;
use super::peer::Peer;
use crate::audit;
use crate::auth::Pass;

/// Pause after an accept error that more tries would only repeat, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that no connection can be accepted.
const SAID_INTERVAL: Duration = Duration::from_secs(10);

/// A client on its way to a worker.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: Peer,
    pub(super) pass: Pass,
    /// When it connected.
    pub(super) at: Instant,
    /// Its place among the worker's sessions, once there is a worker.
    pub(super) place: Option<Place>,
}

/// Accepts on one listener until `shutdown`, and then what waits to be accepted.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) door: Arc<Door>,
    pub(super) shutdown: CancellationToken,
}

impl Acceptor {
    pub(super) async fn run(self) {
        let mut pause = None;
        let mut audit_is_full = audit::full();
        let mut said: Option<Instant> = None;
        loop {
            let is_open = !*audit_is_full.borrow_and_update();
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Ok(()) = audit_is_full.changed() => continue,
                accepted = self.listener.accept(), if is_open => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = None;
                    let_in(&self.door, stream, peer).await;
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection broke before it was accepted");
                }
                Err(error) => {
                    // Now and then: the cause lasts longer than one try, and between two of them a
                    // connection may find a place that has become free.
                    let now = tokio::time::Instant::now().into_std();
                    let recent = |at| now.saturating_duration_since(at) < SAID_INTERVAL;
                    if !said.is_some_and(recent) {
                        said = Some(now);
                        warn!(%error, "cannot accept connections; trying again");
                    }
                    let wait = pause.map_or(PAUSE, |last: Duration| (last * 2).min(MAX_PAUSE));
                    pause = Some(wait);
                    tokio::select! {
                        () = self.shutdown.cancelled() => break,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
        self.take_waiting().await;
    }

    /// Lets in those that the kernel has connected already: to close the listener resets them. While
    /// clients have to wait for the audit log they are reset.
    async fn take_waiting(self) {
        let Ok(listener) = self.listener.into_std() else { return };
        let audit_is_full = audit::full();
        for _ in 0..=BACKLOG {
            if *audit_is_full.borrow() {
                return;
            }
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => let_in(&self.door, stream, peer).await,
                Err(error) => debug!(%error, "lost a connection"),
            }
        }
    }
}

/// Leads a connection through the door. A panic is a defect, and costs this connection alone.
async fn let_in(door: &Arc<Door>, stream: TcpStream, peer: SocketAddr) {
    match catch_unwind(AssertUnwindSafe(|| door.admit(stream, peer.into()))) {
        Ok(Some(admitted)) => door.enter(admitted).await,
        Ok(None) => {}
        Err(_) => error!(peer = %Peer::from(peer), "lost a connection: a defect"),
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
