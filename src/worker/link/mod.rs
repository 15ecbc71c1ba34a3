//! The sockets of a worker's links.
//!
//! Owns: the sockets, and how long the system keeps trying on them. Leaves to
//! [`redoubt_core::router`]: what the bytes mean, and when a link may be read; to [`task`]: connecting,
//! logging in, and the task that each link has.

pub(super) mod task;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redoubt_core::router::{LinkFault, LinkId, Router};
use slotmap::{DefaultKey, SecondaryMap};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::net::keepalive::give_up_after;
use crate::net::now;
use crate::net::own_end::OwnEnd;
use crate::net::stream::Stream;

/// Bytes waiting for a link from which on nothing is gained by waiting for more.
const LARGE: usize = 64 << 10;

/// The sockets of all links of a worker.
pub(super) struct LinkSockets {
    sockets: SecondaryMap<DefaultKey, LinkSocket>,
    /// Set while the server does not answer, so that links may have a closed window for long.
    upstream_stalls: bool,
}

/// A link's socket, beside the link in the router.
struct LinkSocket {
    stream: Stream,
    /// Keeps the connection out of `CLIENT LIST`.
    _own: OwnEnd,
    /// Set while the stream may hold bytes that were written to it.
    unflushed: bool,
    /// Set when the sending side is closed.
    is_shut: bool,
    /// Wakes the task that drives this socket.
    waker: Option<Waker>,
}

/// How far a link is driven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until it is logged in.
    Ready,
    /// Until it is closed.
    Closed,
}

/// What came of one read of a link.
pub(super) enum Read {
    /// The link is not to be read now, or nothing has come. Its task waits until it is woken.
    Nothing,
    /// Bytes came, and the router has taken them or found fault with them.
    Bytes(Result<(), LinkFault>),
    /// The connection has ended, and the router does not know yet.
    End,
    /// The socket is closed already.
    Closed,
}

impl LinkSockets {
    pub(super) fn new() -> Self {
        Self { sockets: SecondaryMap::new(), upstream_stalls: false }
    }

    fn add(&mut self, id: LinkId, stream: Stream, own: OwnEnd) {
        if self.upstream_stalls {
            give_up_after(&stream, None);
        }
        self.sockets.insert(id.key(), LinkSocket::new(stream, own));
    }

    /// Closes the link's socket.
    fn close(&mut self, id: LinkId) {
        self.sockets.remove(id.key());
    }

    /// Notes whether the server stalls. While it does, its system may refuse bytes for long, and the
    /// links stay; otherwise a link on which nothing is acknowledged for `dead_after` is given up.
    pub(super) fn set_upstream_stalls(&mut self, stalls: bool, dead_after: Option<Duration>) {
        self.upstream_stalls = stalls;
        let dead_after = dead_after.filter(|_| !stalls);
        self.sockets.values().for_each(|socket| give_up_after(&socket.stream, dead_after));
    }

    /// Gives up the links that are older than `silent`: the server's host has acknowledged nothing for so
    /// long, so that they are of no use.
    pub(super) fn lose_older(&self, router: &mut Router, silent: Duration) {
        let since = now().checked_sub(silent);
        for id in self.sockets.keys().map(LinkId::from_key) {
            if router.link_is_older(id, since) {
                router.link_lost(id, now());
            }
        }
    }

    /// Closes the sockets of links that the router has closed so that Redis learns the end of each and
    /// is not cut off: what has arrived there runs all the same, and only Redis's own closing tells that
    /// it has. `finishing` is dropped when Redis has closed all of them, or after `timeout`.
    pub(super) fn finish_closed(
        &mut self,
        router: &Router,
        timeout: Duration,
        finishing: &mpsc::Sender<Infallible>,
    ) {
        let is_closed = |key: &DefaultKey| router.link_is_closed(LinkId::from_key(*key));
        let closed: Vec<_> = self.sockets.keys().filter(is_closed).collect();
        for key in closed {
            if let Some(socket) = self.sockets.remove(key) {
                tokio::task::spawn_local(socket.finish(timeout, finishing.clone()));
            }
        }
    }

    /// Notes that the task of `cx` drives this link. Returns false if its socket is closed.
    pub(super) fn note_task(&mut self, id: LinkId, cx: &Context<'_>) -> bool {
        self.sockets.get_mut(id.key()).map(|socket| socket.note_task(cx)).is_some()
    }

    /// Writes until the socket is full or nothing is left, in the stream either; closes the sending
    /// side when the router wants that and all has been written.
    pub(super) fn write(&mut self, router: &mut Router, id: LinkId, cx: &mut Context<'_>) {
        let Some(socket) = self.sockets.get_mut(id.key()) else { return };
        socket.write(router, id, cx);
        if router.link_finishes(id) {
            socket.shut(cx);
        }
    }

    /// Reads once, if the link may be read now.
    pub(super) fn read(
        &mut self,
        router: &mut Router,
        scratch: &mut [u8],
        id: LinkId,
        cx: &mut Context<'_>,
    ) -> Read {
        if !router.link_wants_read(id, now()) {
            return Read::Nothing;
        }
        let Some(socket) = self.sockets.get_mut(id.key()) else { return Read::Closed };
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut socket.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Read::Nothing,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                Read::Bytes(router.link_bytes(id, buffer.filled(), now()))
            }
            Poll::Ready(_) => Read::End,
        }
    }

    /// Looks after a link whose own task is not running. Its task writes when all that is ready in this
    /// turn has been added; what is large goes out now, while it is in the processor's cache.
    pub(super) fn attend(&mut self, router: &mut Router, id: LinkId) {
        let Some(socket) = self.sockets.get_mut(id.key()) else { return };
        let Some(waker) = socket.waker.clone() else { return };
        if router.link_output(id).len() >= LARGE {
            socket.write(router, id, &mut Context::from_waker(&waker));
        }
        waker.wake();
    }
}

impl LinkSocket {
    fn new(stream: Stream, own: OwnEnd) -> Self {
        Self { stream, _own: own, unflushed: false, is_shut: false, waker: None }
    }

    /// Notes that the task of `cx` drives this socket.
    fn note_task(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    /// Writes until the socket is full or nothing is left, in the stream either.
    fn write(&mut self, router: &mut Router, id: LinkId, cx: &mut Context<'_>) {
        loop {
            let output = router.link_output(id);
            if output.is_empty() {
                break;
            }
            match Pin::new(&mut self.stream).poll_write(cx, output) {
                Poll::Pending => return,
                Poll::Ready(Ok(len @ 1..)) => {
                    self.unflushed = true;
                    router.link_output_written(id, len, now());
                }
                // What Redis sent before the connection broke is still to be read.
                Poll::Ready(_) => return,
            }
        }
        if self.unflushed {
            // If the connection is broken, the next read reports it.
            self.unflushed = Pin::new(&mut self.stream).poll_flush(cx).is_pending();
        }
    }

    /// Closes the sending side, so that Redis learns that nothing more will come, once all has been
    /// written.
    fn shut(&mut self, cx: &mut Context<'_>) {
        if !self.unflushed && !self.is_shut {
            // If the connection is broken, the next read reports it.
            self.is_shut = Pin::new(&mut self.stream).poll_shutdown(cx).is_ready();
        }
    }

    /// Closes the sending side and waits until Redis has closed its side, which it does once it has
    /// dealt with all that had arrived; for at most `most`. Drops what Redis still answers, and at the
    /// end `held`.
    async fn finish(mut self, most: Duration, held: mpsc::Sender<Infallible>) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        let closed = async {
            self.stream.shutdown().await?;
            let mut dropped = [0; 4096];
            while self.stream.read(&mut dropped).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = timeout(most, closed).await;
        drop(held);
    }
}
