//! Driving one client's socket.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::audit;
use crate::net::accepted::Accepted;
use crate::net::handshake::Handshake;
use crate::net::load::Place;
use crate::net::now;
use crate::net::peer::Peer;
use crate::net::stream::{Arrived, Stream};
use crate::telemetry;
use crate::worker::{Shared, Worker};
use redoubt_core::auth::Permit;
use redoubt_core::policy::RuleName;
use redoubt_core::router::SessionId;

/// Numbers sessions for the log, over all workers.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A client's socket, beside its session in the router.
pub(crate) struct ClientIo {
    stream: Stream,
    /// Whether the stream may hold bytes that were written to it.
    unflushed: bool,
    pub(crate) peer: Peer,
    /// Whom its certificate is for, if it has shown one.
    pub(crate) certificate: Option<Arc<str>>,
    /// What the log calls the session.
    pub(crate) number: u64,
    /// How many of its commands were refused.
    pub(crate) refused: u64,
    /// The rule that refused the last of them.
    pub(crate) last_rule: Option<RuleName>,
    /// Wakes the task that drives this socket.
    waker: Option<Waker>,
    /// Whether the task left off because the session must not be read now.
    paused: bool,
    /// Held, not read: the session's place in the worker's count.
    _place: Option<Place>,
}

impl ClientIo {
    /// Ready when the stream holds nothing that was written to it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.unflushed = flushed.is_pending();
        flushed
    }

    /// Returns what kind of listener the client came to.
    pub(crate) fn listener(&self) -> &'static str {
        match self.stream {
            Stream::Tcp(_) => "tcp",
            Stream::Tls(_) => "tls",
            Stream::Unix(_) => "unix",
        }
    }

    /// Has the task that drives this socket look at it again.
    pub(crate) fn wake(&self) {
        self.waker.iter().for_each(Waker::wake_by_ref);
    }
}

/// Takes in an accepted connection: shakes hands where TLS is spoken, and then makes it a session.
pub(crate) fn start(shared: &Shared, accepted: Accepted) {
    let Accepted { stream, handshake, peer, permit, at, place } = accepted;
    let newcomer = Newcomer { peer, certificate: None, permit, at, place };
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
    permit: Permit,
    at: Instant,
    place: Option<Place>,
}

async fn shake(shared: Shared, handshake: Handshake, stream: TcpStream, newcomer: Newcomer) {
    let Some(stream) = handshake.shake(stream, &newcomer.peer).await else { return };
    // Meanwhile its network may have been taken from `allow`, or locked out.
    if newcomer.permit.is_still_welcome(now()).is_err() {
        debug!(peer = %newcomer.peer, "a client is not welcome any more");
        return;
    }
    let certificate = stream.peer_name();
    open(&shared, Stream::Tls(Box::new(stream)), Newcomer { certificate, ..newcomer });
}

fn open(shared: &Shared, stream: Stream, newcomer: Newcomer) {
    let Newcomer { peer, certificate, mut permit, at, place } = newcomer;
    permit.certify(certificate.clone());
    let mut worker = shared.borrow_mut();
    let id = worker.router.open_with(permit, at);
    let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
    worker.router.set_number(id, number);
    telemetry::metrics::session_opened();
    if audit::is_on() {
        audit::record(audit::Event::SessionOpened {
            session: number,
            peer: peer.to_string(),
            certificate: certificate.as_deref().map(str::to_owned),
        });
    }
    let io = ClientIo {
        stream,
        unflushed: false,
        peer,
        certificate,
        number,
        refused: 0,
        last_rule: None,
        waker: None,
        paused: false,
        _place: place,
    };
    worker.clients.insert(id.key(), io);
    worker.log_opened(id);
    worker.wait_for_audit();
    drop(worker);
    tokio::task::spawn_local(drive(shared.clone(), id));
}

/// What a read takes of a turn at least: over TLS one may give only a few bytes.
const READ_COST: usize = 4 << 10;
/// Bytes that are written to a client in one turn.
const MOST_WRITTEN: usize = 1 << 20;

/// Has the task of `cx` polled again when the tasks that are ready now have run, and those that the
/// system tells of after that.
fn give_way(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// How long a client whose session is over may take to receive what its stream still holds.
const FLUSH: Duration = Duration::from_secs(5);

/// Drives a client until its session is over. A panic ends this session alone.
async fn drive(shared: Shared, id: SessionId) {
    poll_fn(|cx| poll(&shared, id, cx, Worker::poll_client)).await;
    if !shared.borrow().router.is_killed(id) {
        // The session has handed all of its output over; the socket may still hold some of it.
        let flushed = poll_fn(|cx| poll(&shared, id, cx, Worker::poll_flush_client));
        let _ = timeout(FLUSH, flushed).await;
    }
    shared.borrow_mut().close_client(id);
}

/// Polls a client. A panic kills its session.
fn poll(
    shared: &Shared,
    id: SessionId,
    cx: &mut Context<'_>,
    what: fn(&mut Worker, SessionId, &mut Context<'_>) -> Poll<()>,
) -> Poll<()> {
    let mut worker = shared.borrow_mut();
    let polled = catch_unwind(AssertUnwindSafe(|| what(&mut worker, id, cx)));
    polled.unwrap_or_else(|_| {
        worker.router.client_panicked(id, now());
        worker.settle(Some(id));
        Poll::Ready(())
    })
}

impl Worker {
    /// Does what there is to do for one client, for one turn at most: others wait meanwhile.
    fn poll_client(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = self.router.read_size(id);
        loop {
            let has_more_output = !self.write_client(id, cx);
            self.settle(Some(id));
            if self.router.is_finished(id) {
                return Poll::Ready(());
            }
            let wants_read = !self.waits_for_audit && self.router.wants_read(id);
            let Some(io) = self.clients.get_mut(id.key()) else { return Poll::Ready(()) };
            if !io.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                io.waker = Some(cx.waker().clone());
            }
            let has_more = !self.waits_for_audit && self.router.waits_for_turn(id);
            io.paused = !wants_read && !has_more;
            if has_more_output || (left == 0 && !io.paused) {
                give_way(cx);
                return Poll::Pending;
            }
            if io.paused {
                self.note_paused(id);
                return Poll::Pending;
            }
            let most = left.min(self.scratch.len());
            if has_more {
                left = 0;
                self.router.take_turn(id, now());
                continue;
            }
            let mut buffer = ReadBuf::new(self.scratch.get_mut(..most).unwrap_or_default());
            match Pin::new(&mut io.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => self.router.client_lost(id),
                Poll::Ready(Ok(())) => match buffer.filled() {
                    [] => self.router.client_eof(id, now()),
                    bytes => {
                        #[cfg(test)]
                        assert_ne!(bytes, b"panic", "as a test asked");
                        left = left.saturating_sub(bytes.len().max(READ_COST));
                        self.router.client_bytes(id, bytes, now());
                        if self.router.waits_for_turn(id) {
                            left = 0;
                        }
                    }
                },
            }
        }
    }

    /// Sees to a client whose own task is not running: writes what there is to write, and wakes the
    /// task where only it can go on.
    pub(crate) fn attend_client(&mut self, id: SessionId) {
        let Some(waker) = self.clients.get(id.key()).and_then(|io| io.waker.clone()) else {
            return;
        };
        let has_more_output = !self.write_client(id, &mut Context::from_waker(&waker));
        let paused = self.clients.get(id.key()).is_some_and(|io| io.paused);
        let goes_on = || self.router.wants_read(id) || self.router.waits_for_turn(id);
        if has_more_output || self.router.is_finished(id) || (paused && goes_on()) {
            waker.wake();
        } else if paused {
            self.note_paused(id);
        }
    }

    /// Notes a client that is not read now, if its session is to end as soon as it has gone.
    fn note_paused(&mut self, id: SessionId) {
        if self.router.ends_with_client(id) {
            self.behind_block.add(id);
        }
    }

    /// Ends sessions whose clients have gone while they were not read. While the audit log is full, no
    /// client is read, and none is looked at here either.
    pub(crate) fn end_gone(&mut self) {
        if self.waits_for_audit {
            return;
        }
        for id in self.behind_block.next() {
            let io = self.clients.get(id.key()).filter(|io| io.paused);
            match io.filter(|_| self.router.ends_with_client(id)) {
                Some(io) if io.stream.is_read_closed() => {
                    self.behind_block.remove(id);
                    self.router.client_eof(id, now());
                }
                Some(_) => {}
                None => self.behind_block.remove(id),
            }
        }
    }

    /// Writes until the socket is full or nothing is left, in the stream either. Returns false when
    /// it has written as much as may be in one turn.
    fn write_client(&mut self, id: SessionId, cx: &mut Context<'_>) -> bool {
        let Some(io) = self.clients.get_mut(id.key()) else { return true };
        let mut written = 0_usize;
        let error = loop {
            if written >= MOST_WRITTEN {
                return false;
            }
            let output = self.router.output(id);
            if output.is_empty() {
                match io.poll_flush(cx) {
                    Poll::Ready(Err(error)) => break error,
                    _ => return true,
                }
            }
            match Pin::new(&mut io.stream).poll_write(cx, output) {
                Poll::Pending => return true,
                Poll::Ready(Ok(len @ 1..)) => {
                    io.unflushed = true;
                    written = written.saturating_add(len);
                    self.router.wrote(id, len, now());
                }
                Poll::Ready(Ok(0)) => break io::ErrorKind::WriteZero.into(),
                Poll::Ready(Err(error)) => break error,
            }
        };
        debug!(session = io.number, %error, "cannot write to the client");
        self.router.client_lost(id);
        true
    }

    /// Ready when the stream of a client holds nothing more, or cannot get rid of it.
    fn poll_flush_client(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let io = self.clients.get_mut(id.key());
        io.map_or(Poll::Ready(()), |io| io.poll_flush(cx).map(drop))
    }
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
