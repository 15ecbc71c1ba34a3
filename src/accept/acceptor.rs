//! Accepts connections from one listener.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::accept::dispatcher::Dispatcher;
use crate::audit;
use crate::net::options::BACKLOG;
use crate::net::peer::Peer;
use crate::net::stream::{Arrived, Socket};
use crate::net::unix::SocketFile;
use crate::tls;

/// First pause after an error that another accept would meet at once, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest pause after such errors.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Shortest time between two log lines about accept errors.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts on one listener until `shutdown`, and then the connections that wait in the kernel.
pub(crate) struct Acceptor {
    pub(crate) listener: Socket<TcpListener, UnixListener>,
    /// Present if the listener speaks TLS.
    pub(crate) tls: Option<Arc<tls::Server>>,
    /// The file of a Unix socket. It is unlinked before the listener closes, so that no client connects to
    /// a dead socket.
    pub(crate) file: Option<SocketFile>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) shutdown: CancellationToken,
}

impl Acceptor {
    pub(crate) async fn run(self) {
        let mut pause = None;
        let mut audit_is_full = audit::full();
        let mut logged_at: Option<Instant> = None;
        loop {
            let is_open = !*audit_is_full.borrow_and_update();
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Ok(()) = audit_is_full.changed() => continue,
                accepted = accept(&self.listener), if is_open => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = None;
                    self.admit(stream, peer).await;
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection broke before it was accepted");
                }
                Err(error) => {
                    // The error is logged at intervals: its cause lasts longer than one attempt,
                    // and between two attempts a connection may succeed.
                    let now = tokio::time::Instant::now().into_std();
                    let recent = |at| now.saturating_duration_since(at) < LOG_INTERVAL;
                    if !logged_at.is_some_and(recent) {
                        logged_at = Some(now);
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

    /// Accepts the connections that the kernel has established already, since closing the listener
    /// would reset them. While clients must wait for the audit log, they are reset.
    async fn take_waiting(mut self) {
        self.file = None;
        let audit_is_full = audit::full();
        for _ in 0..=BACKLOG {
            if *audit_is_full.borrow() {
                return;
            }
            match accept_waiting(&self.listener) {
                Ok((stream, peer)) => self.admit(stream, peer).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => debug!(%error, "a connection broke before it was accepted"),
            }
        }
    }

    /// Hands a connection to the dispatcher. A panic is a defect, and ends this connection only.
    async fn admit(&self, stream: Arrived, peer: Peer) {
        let dispatcher = &self.dispatcher;
        let admitted =
            catch_unwind(AssertUnwindSafe(|| dispatcher.admit(stream, peer, self.tls.clone())));
        match admitted {
            Ok(Some(admitted)) => dispatcher.enter(admitted).await,
            Ok(None) => {}
            Err(_) => {
                error!(%peer, "internal error: a panic ended a new connection; please report it")
            }
        }
    }
}

async fn accept(listener: &Socket<TcpListener, UnixListener>) -> io::Result<(Arrived, Peer)> {
    match listener {
        Socket::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            Ok((Socket::Tcp(stream), peer.into()))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = Peer::from(&stream);
            Ok((Socket::Unix(stream), peer))
        }
    }
}

/// Accepts a connection that waits in the kernel, even if the runtime has not been notified of it.
fn accept_waiting(listener: &Socket<TcpListener, UnixListener>) -> io::Result<(Arrived, Peer)> {
    match listener {
        Socket::Tcp(listener) => {
            let (stream, peer) = SockRef::from(listener).accept()?;
            let stream = std::net::TcpStream::from(stream);
            stream.set_nonblocking(true)?;
            let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
            Ok((Socket::Tcp(TcpStream::from_std(stream)?), peer.into()))
        }
        Socket::Unix(listener) => {
            let stream: std::os::unix::net::UnixStream = SockRef::from(listener).accept()?.0.into();
            stream.set_nonblocking(true)?;
            let stream = UnixStream::from_std(stream)?;
            let peer = Peer::from(&stream);
            Ok((Socket::Unix(stream), peer))
        }
    }
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
