//! Accepts connections to the admin port and bounds their number, their requests and their
//! lifetime.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::error;

use super::access::Ends;
use super::{Admin, routes};

/// Most connections at one time, on each listener. A further connection closes the oldest, so that
/// a client that holds connections open cannot keep health checks out.
const CONNECTIONS: usize = 16;
/// How long the headers of a request may take, and how long a connection may wait for one.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection takes requests.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long the last answer of a connection may take.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// Most bytes of a request's line and headers.
const REQUEST: usize = 16 << 10;
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the listeners; never returns.
pub(super) async fn serve(listeners: Vec<std::net::TcpListener>, admin: Arc<Admin>) {
    for listener in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => drop(tokio::spawn(accept(listener, Arc::clone(&admin)))),
            Err(error) => error!(%error, "cannot serve the admin port"),
        }
    }
    std::future::pending().await
}

async fn accept(listener: TcpListener, admin: Arc<Admin>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS {
            open.pop_front().inspect(AbortHandle::abort);
        }
        open.push_back(tokio::spawn(connection(stream, peer, Arc::clone(&admin))).abort_handle());
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, admin: Arc<Admin>) {
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { peer, local };
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(routes::answer(request, ends, &admin).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(REQUEST)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    // An error is the client's own fault and ends its connection only.
    if timeout(LIFETIME, served.as_mut()).await.is_err() {
        served.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, served).await;
    }
}
