//! The sockets of a worker's clients.
//!
//! Owns: the sockets, which of them are read, and what is noted while one is not. Leaves to
//! [`redoubt_core::router`]: what the bytes mean, and when a client may be read; to [`task`]: the task
//! that each client has.

mod behind_block;
pub(super) mod task;

use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use redoubt_core::router::{Router, SessionId};
use slotmap::{DefaultKey, SecondaryMap};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tracing::debug;

use self::behind_block::BehindBlock;
use crate::audit;
use crate::net::load::Place;
use crate::net::now;
use crate::net::stream::Stream;

/// What a read costs of a turn at least, in bytes: over TLS one may give only a few.
const READ_COST: usize = 4 << 10;
/// Bytes that are written to a client in one turn.
const MOST_WRITTEN: usize = 1 << 20;

/// The sockets of all clients of a worker.
pub(super) struct ClientSockets {
    sockets: SecondaryMap<DefaultKey, ClientSocket>,
    /// Sessions that wait for a blocking command while their clients are not read.
    behind_block: BehindBlock,
    audit_is_full: watch::Receiver<bool>,
    /// Set while no client is read, since what comes of a read could not be written to the audit log.
    waits_for_audit: bool,
}

/// A client's socket, beside its session in the router.
struct ClientSocket {
    stream: Stream,
    /// Set while the stream may hold bytes that were written to it.
    unflushed: bool,
    /// The number of the session in the log.
    number: u64,
    /// Wakes the task that drives this socket.
    waker: Option<Waker>,
    /// Set if the task left off because the session must not be read now.
    paused: bool,
    /// The session's place in the worker's count, which is given back when the socket is dropped.
    _place: Option<Place>,
}

/// What one client may still do in the turn of its task.
pub(super) struct Turn {
    /// Bytes that may still be read.
    pub(super) left: usize,
    /// Set if output is left that must wait for the next turn.
    pub(super) has_more_output: bool,
}

/// How the task of a client goes on.
pub(super) enum Next {
    /// The turn goes on: write what has come of it, then read again.
    Again,
    /// The task waits until it is woken.
    Wait,
    /// The session is over.
    Over,
}

impl ClientSockets {
    /// Returns the address that the client has connected to.
    pub(super) fn local_address(&self, id: SessionId) -> Option<String> {
        Some(self.sockets.get(id.key())?.stream.local_address())
    }

    pub(super) fn new() -> Self {
        Self {
            sockets: SecondaryMap::new(),
            behind_block: BehindBlock::default(),
            audit_is_full: audit::full(),
            waits_for_audit: false,
        }
    }

    fn add(&mut self, id: SessionId, socket: ClientSocket) {
        self.sockets.insert(id.key(), socket);
    }

    /// Closes the client's socket.
    pub(super) fn close(&mut self, id: SessionId) {
        self.sockets.remove(id.key());
        self.behind_block.remove(id);
    }

    /// The sessions of all clients.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.sockets.keys().map(SessionId::from_key).collect()
    }

    /// Stops reading clients, or reads them again, as the audit log has room.
    pub(super) fn follow_audit_log(&mut self) {
        let waited = mem::replace(&mut self.waits_for_audit, *self.audit_is_full.borrow());
        if waited && !self.waits_for_audit {
            self.sockets.values().for_each(ClientSocket::wake);
        }
    }

    /// Writes until the socket is full or nothing is left, in the stream either. Returns false when
    /// it has written as much as may be in one turn.
    pub(super) fn write(
        &mut self,
        router: &mut Router,
        id: SessionId,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(socket) = self.sockets.get_mut(id.key()) else { return true };
        let mut written = 0_usize;
        let error = loop {
            if written >= MOST_WRITTEN {
                return false;
            }
            let output = router.output(id);
            if output.is_empty() {
                match socket.poll_flush(cx) {
                    Poll::Ready(Err(error)) => break error,
                    _ => return true,
                }
            }
            match Pin::new(&mut socket.stream).poll_write(cx, output) {
                Poll::Pending => return true,
                Poll::Ready(Ok(len @ 1..)) => {
                    socket.unflushed = true;
                    written = written.saturating_add(len);
                    router.output_written(id, len, now());
                }
                Poll::Ready(Ok(0)) => break io::ErrorKind::WriteZero.into(),
                Poll::Ready(Err(error)) => break error,
            }
        };
        debug!(session = socket.number, %error, "cannot write to the client");
        router.client_lost(id);
        true
    }

    /// Reads once, or takes requests that were read before, if the client may have that now.
    pub(super) fn read(
        &mut self,
        router: &mut Router,
        scratch: &mut [u8],
        id: SessionId,
        turn: &mut Turn,
        cx: &mut Context<'_>,
    ) -> Next {
        if router.is_finished(id) {
            return Next::Over;
        }
        let wants_read = !self.waits_for_audit && router.wants_read(id);
        let Some(socket) = self.sockets.get_mut(id.key()) else { return Next::Over };
        socket.note_task(cx);
        let has_more = !self.waits_for_audit && router.waits_for_turn(id);
        socket.paused = !wants_read && !has_more;
        if turn.has_more_output || (turn.left == 0 && !socket.paused) {
            give_way(cx);
            return Next::Wait;
        }
        if socket.paused {
            self.note_paused(router, id);
            return Next::Wait;
        }
        if has_more {
            turn.left = 0;
            router.take_turn(id, now());
            return Next::Again;
        }
        let most = turn.left.min(scratch.len());
        let mut buffer = ReadBuf::new(scratch.get_mut(..most).unwrap_or_default());
        match Pin::new(&mut socket.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Next::Wait,
            Poll::Ready(Err(_)) => router.client_lost(id),
            Poll::Ready(Ok(())) => match buffer.filled() {
                [] => router.client_eof(id, now()),
                bytes => {
                    #[cfg(test)]
                    assert_ne!(bytes, b"panic", "as a test asked");
                    turn.left = turn.left.saturating_sub(bytes.len().max(READ_COST));
                    router.client_bytes(id, bytes, now());
                    if router.waits_for_turn(id) {
                        turn.left = 0;
                    }
                }
            },
        }
        Next::Again
    }

    /// Looks after a client whose own task is not running: writes its output, and wakes the task where
    /// only the task can go on.
    pub(super) fn attend(&mut self, router: &mut Router, id: SessionId) {
        let Some(waker) = self.sockets.get(id.key()).and_then(|socket| socket.waker.clone()) else {
            return;
        };
        let has_more_output = !self.write(router, id, &mut Context::from_waker(&waker));
        let paused = self.sockets.get(id.key()).is_some_and(|socket| socket.paused);
        let goes_on = || router.wants_read(id) || router.waits_for_turn(id);
        if has_more_output || router.is_finished(id) || (paused && goes_on()) {
            waker.wake();
        } else if paused {
            self.note_paused(router, id);
        }
    }

    /// Notes a client that is not read now, if its session is to end as soon as it has gone.
    fn note_paused(&mut self, router: &Router, id: SessionId) {
        if router.ends_with_client(id) {
            self.behind_block.add(id);
        }
    }

    /// Ends sessions whose clients have gone while they were not read. While the audit log is full, no
    /// client is read, and this does not end a session either.
    pub(super) fn end_gone(&mut self, router: &mut Router) {
        if self.waits_for_audit {
            return;
        }
        for id in self.behind_block.next() {
            let socket = self.sockets.get(id.key()).filter(|socket| socket.paused);
            match socket.filter(|_| router.ends_with_client(id)) {
                Some(socket) if socket.stream.is_read_closed() => {
                    self.behind_block.remove(id);
                    router.client_eof(id, now());
                }
                Some(_) => {}
                None => self.behind_block.remove(id),
            }
        }
    }

    /// Ready when the stream of a client holds nothing more, or cannot get rid of it.
    fn poll_flush(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let socket = self.sockets.get_mut(id.key());
        socket.map_or(Poll::Ready(()), |socket| socket.poll_flush(cx).map(drop))
    }
}

impl ClientSocket {
    fn new(stream: Stream, number: u64, place: Option<Place>) -> Self {
        Self { stream, unflushed: false, number, waker: None, paused: false, _place: place }
    }

    /// Ready when the stream holds nothing that was written to it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.unflushed = flushed.is_pending();
        flushed
    }

    /// Notes that the task of `cx` drives this socket.
    fn note_task(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    /// Wakes the task that drives this socket.
    fn wake(&self) {
        self.waker.iter().for_each(Waker::wake_by_ref);
    }
}

/// Has the task of `cx` polled again when the tasks that are ready now have run, and those that the
/// system tells of after that.
fn give_way(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
