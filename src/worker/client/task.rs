//! The task of each client: from the accepted connection to the end of its session.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::ClientSocket;
use crate::net::accepted::Accepted;
use crate::net::handshake::Handshake;
use crate::net::load::Place;
use crate::net::now;
use crate::net::peer::Peer;
use crate::net::stream::{Arrived, Stream};
use crate::worker::report::SessionRecord;
use crate::worker::{Shared, Worker};
use redoubt_core::auth::{CertificateName, Certified, Permit};
use redoubt_core::router::SessionId;

/// Numbers sessions for the log, over all workers.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// How long a client whose session is over may take to receive what its stream still holds.
const FLUSH: Duration = Duration::from_secs(5);

/// Takes in an accepted connection: shakes hands where TLS is spoken, and then makes it a session.
pub(in crate::worker) fn start(shared: &Shared, accepted: Accepted) {
    let Accepted { stream, handshake, peer, permit, at, place } = accepted;
    let newcomer = Newcomer { peer, certificate: None, names: Vec::new(), permit, at, place };
    match (stream.arrive(), handshake) {
        (Ok(Arrived::Tcp(stream)), Some(handshake)) => {
            tokio::task::spawn_local(shake(shared.clone(), handshake, stream, newcomer));
        }
        (Ok(Arrived::Tcp(stream)), None) => open(shared, Stream::Tcp(stream), newcomer),
        (Ok(Arrived::Unix(stream)), _) => open(shared, Stream::Unix(stream), newcomer),
        (Err(error), _) => debug!(%peer, %error, "lost a connection"),
    }
}

/// A client that is to have a session.
struct Newcomer {
    peer: Peer,
    certificate: Option<Arc<str>>,
    /// The names in its certificate that identities may be recognized by.
    names: Vec<CertificateName>,
    permit: Permit,
    at: Instant,
    place: Option<Place>,
}

async fn shake(shared: Shared, handshake: Handshake, stream: TcpStream, newcomer: Newcomer) {
    let Some(stream) = handshake.shake(stream, &newcomer.peer).await else { return };
    // During the handshake its network may have been taken from `allow`, or locked out.
    if newcomer.permit.recheck(now()).is_err() {
        debug!(peer = %newcomer.peer, "a client is not welcome any more");
        return;
    }
    let (certificate, names) = (stream.peer_name(), stream.peer_alternative_names());
    let newcomer = Newcomer { certificate, names, ..newcomer };
    open(&shared, Stream::Tls(Box::new(stream)), newcomer);
}

fn open(shared: &Shared, stream: Stream, newcomer: Newcomer) {
    let Newcomer { peer, certificate, names, mut permit, at, place } = newcomer;
    permit.certify(certificate.clone());
    let mut worker = shared.borrow_mut();
    let id = worker.router.open_with(permit, at);
    let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
    worker.router.set_number(id, number);
    let listener = stream.kind();
    worker.clients.add(id, ClientSocket::new(stream, number, place));
    worker.reports.opened(id, SessionRecord::new(number, peer, listener, certificate));
    if !names.is_empty() && worker.router.certify(id, &names, now()) == Certified::Several {
        warn!(
            session = number, %peer,
            "a client's certificate has the names of several identities, so it needs a password"
        );
    }
    worker.settle(Some(id));
    worker.clients.follow_audit_log();
    drop(worker);
    tokio::task::spawn_local(drive(shared.clone(), id));
}

/// Drives a client until its session is over. A panic ends this session alone.
async fn drive(shared: Shared, id: SessionId) {
    poll_fn(|cx| poll(&shared, id, cx, Worker::poll_client)).await;
    if !shared.borrow().router.is_killed(id) {
        // The session has handed all of its output over; the socket may still hold some of it.
        let flush =
            |worker: &mut Worker, id, cx: &mut Context<'_>| worker.clients.poll_flush(id, cx);
        let flushed = poll_fn(|cx| poll(&shared, id, cx, flush));
        let _ = timeout(FLUSH, flushed).await;
    }
    shared.borrow_mut().close_client(id);
}

/// Polls a client. A panic kills its session.
fn poll(
    shared: &Shared,
    id: SessionId,
    cx: &mut Context<'_>,
    what: impl Fn(&mut Worker, SessionId, &mut Context<'_>) -> Poll<()>,
) -> Poll<()> {
    let mut worker = shared.borrow_mut();
    let polled = catch_unwind(AssertUnwindSafe(|| what(&mut worker, id, cx)));
    polled.unwrap_or_else(|_| {
        worker.router.client_panicked(id, now());
        worker.settle(Some(id));
        Poll::Ready(())
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::num::NonZeroUsize;

    use tokio_util::sync::CancellationToken;

    use crate::config::{Environment, Settings};
    use crate::control::Server;

    #[test]
    fn a_panic_ends_one_session_and_no_other() {
        let environment = Environment::from_lookup(|_| None);
        let text = "listen = \"127.0.0.1:0\"\nallow_weak_passwords = true\n\
                    [upstream]\nurl = \"redis://127.0.0.1:1\"\npassword = \"x\"\n\
                    [admin]\nlisten = \"off\"\n";
        let mut settings = Settings::parse("test".as_ref(), text, &environment).unwrap();
        settings.workers = NonZeroUsize::MIN;
        let server = Server::bind(&settings).unwrap();
        let address = server.local_addrs()[0];
        let stop = CancellationToken::new();
        let running = std::thread::spawn({
            let stop = stop.clone();
            move || server.run(stop)
        });
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let (mut victim, mut other) = (connect(), connect());
        let mut asks = |text: &mut [u8]| {
            other.write_all(b"PING\r\n").unwrap();
            other.read_exact(text).unwrap();
        };
        let noauth = b"-NOAUTH Authentication required.\r\n";
        let mut reply = vec![0; noauth.len()];
        asks(&mut reply);
        assert_eq!(reply, noauth);
        victim.write_all(b"panic").unwrap();
        assert_eq!(victim.read(&mut [0; 16]).unwrap_or(0), 0, "the session is closed");
        asks(&mut reply);
        assert_eq!(reply, noauth);
        stop.cancel();
        running.join().unwrap().unwrap();
    }
}
