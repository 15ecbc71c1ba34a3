//! Driving one link's socket.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::error;

use crate::net::keepalive::give_up_after;
use crate::net::now;
use crate::net::stream::Stream;
use crate::net::upstream::{Target, UpstreamError};
use crate::worker::link_login::{Way, wait_for_login};
use crate::worker::{Shared, Worker};
use redoubt_core::router::{LinkFault, LinkId};
use redoubt_core::upstream::LoginError;

/// A link's socket, beside the link in the router.
pub(crate) struct LinkIo {
    stream: Stream,
    /// Whether the stream may hold bytes that were written to it.
    unflushed: bool,
    /// Whether its sending side is closed.
    is_shut: bool,
    /// Wakes the task that drives this socket.
    pub(crate) waker: Option<Waker>,
}

impl LinkIo {
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Says to Redis that nothing more will come, and waits until it has closed its side, which it
    /// does once it has dealt with all that had arrived; for at most `most`. What it still answers is
    /// dropped. `held` is let go of then.
    pub(crate) async fn finish(mut self, most: Duration, held: mpsc::Sender<Infallible>) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        let closed = async {
            self.stream.shutdown().await?;
            let mut dropped = [0; 4096];
            while self.stream.read(&mut dropped).await? > 0 {}
            std::io::Result::Ok(())
        };
        let _ = timeout(most, closed).await;
        drop(held);
    }
}

/// Bytes waiting for a link from which on nothing is gained by waiting for more.
const LARGE: usize = 64 << 10;

/// How far [`Worker::poll_link`] is to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Ready,
    Closed,
}

/// Connects a link, logs it in, and drives it until it is closed.
pub(crate) async fn drive(shared: Shared, id: LinkId) {
    let target = shared.borrow().in_force.borrow().target.clone();
    let deadline = Instant::now() + target.timeout;
    let opened = timeout_at(deadline, open(&shared, id, &target));
    let opened = opened.await.unwrap_or_else(|_| Err(target.timed_out()));
    if let Err(UpstreamError::Login(LoginError::NotNow(error))) = &opened {
        shared.borrow_mut().router.link_not_now(id, error, now());
    }
    // An upstream that has no time is there.
    let is_there = matches!(opened, Ok(()) | Err(UpstreamError::Login(LoginError::NotNow(_))));
    crate::telemetry::metrics::upstream_connect(is_there);
    let outcome = match opened {
        Ok(()) => poll_fn(|cx| poll(&shared, id, Until::Closed, cx)).await,
        Err(error) => Err(error),
    };
    let mut worker = shared.borrow_mut();
    if let Err(error) = outcome
        && !is_there
    {
        worker.health.link_failed(&error);
        worker.router.link_failed(id, now());
    }
    worker.settle(None);
    worker.router.forget_link(id);
    worker.links.remove(id.key());
}

/// Connects a link and logs it in, in the way that is settled; anew with the next guard when the
/// upstream does not know this one any more.
async fn open(shared: &Shared, id: LinkId, target: &Target) -> Result<(), UpstreamError> {
    let in_force = shared.borrow().in_force.subscribe();
    let mut refused = None;
    loop {
        let stream = target.connect().await?;
        if in_force.borrow().login.known().is_none() {
            // The watch may be waiting between two tries, for longer than the link may wait for it.
            shared.borrow().health.link_waits();
        }
        let login = wait_for_login(in_force.clone(), refused).await?;
        {
            let mut worker = shared.borrow_mut();
            if worker.upstream_stalls {
                give_up_after(&stream, None);
            }
            worker
                .links
                .insert(id.key(), LinkIo { stream, unflushed: false, is_shut: false, waker: None });
            worker.router.link_connected(id);
        }
        match poll_fn(|cx| poll(shared, id, Until::Ready, cx)).await {
            Err(UpstreamError::Login(LoginError::WrongPassword)) if login.way == Way::Guard => {
                let mut worker = shared.borrow_mut();
                worker.links.remove(id.key());
                worker.health.refuse_guard(login.epoch);
                refused = Some(login.epoch);
            }
            outcome => return outcome,
        }
    }
}

/// Polls a link. A panic ends this link, and the sessions that replies were due to on it.
fn poll(
    shared: &Shared,
    id: LinkId,
    until: Until,
    cx: &mut Context<'_>,
) -> Poll<Result<(), UpstreamError>> {
    let mut worker = shared.borrow_mut();
    let polled = catch_unwind(AssertUnwindSafe(|| worker.poll_link(id, until, cx)));
    polled.unwrap_or_else(|_| {
        worker.router.link_panicked(id, now());
        Poll::Ready(Ok(()))
    })
}

impl Worker {
    /// Reads and writes what can be. An error means that the link never became ready.
    fn poll_link(
        &mut self,
        id: LinkId,
        until: Until,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UpstreamError>> {
        let Some(io) = self.links.get_mut(id.key()) else { return Poll::Ready(Ok(())) };
        if !io.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            io.waker = Some(cx.waker().clone());
        }
        loop {
            self.write_link(id, cx);
            self.shut_link(id, cx);
            self.settle(None);
            if self.router.link_is_closed(id)
                || (until == Until::Ready && self.router.link_is_ready(id))
            {
                return Poll::Ready(Ok(()));
            }
            if !self.router.link_wants_read(id, now()) {
                return Poll::Pending;
            }
            let Some(io) = self.links.get_mut(id.key()) else { return Poll::Ready(Ok(())) };
            let mut buffer = ReadBuf::new(&mut self.scratch);
            match Pin::new(&mut io.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let outcome = self.router.link_bytes(id, buffer.filled(), now());
                    self.settle(None);
                    match outcome {
                        Ok(()) => {}
                        Err(LinkFault::Login(error)) => return Poll::Ready(Err(error.into())),
                        Err(LinkFault::Unexpected(error)) => {
                            error!(%error, "closed a link and its session");
                        }
                    }
                }
                Poll::Ready(_) => {
                    let was_ready = self.router.link_is_ready(id);
                    self.router.link_lost(id, now());
                    self.settle(None);
                    let ended = || Err(self.in_force.borrow().target.ended());
                    return Poll::Ready(if was_ready { Ok(()) } else { ended() });
                }
            }
        }
    }

    /// Tells Redis that nothing more will come, once all has been written.
    fn shut_link(&mut self, id: LinkId, cx: &mut Context<'_>) {
        if !self.router.link_finishes(id) {
            return;
        }
        if let Some(io) = self.links.get_mut(id.key())
            && !io.unflushed
            && !io.is_shut
        {
            // If the connection is broken, the next read reports it.
            io.is_shut = Pin::new(&mut io.stream).poll_shutdown(cx).is_ready();
        }
    }

    /// Sees to a link whose own task is not running. Its task writes when all that is ready in this
    /// turn has been added; what is large goes out now, while it is in the processor's cache.
    pub(crate) fn attend_link(&mut self, id: LinkId) {
        let Some(waker) = self.links.get(id.key()).and_then(|io| io.waker.clone()) else {
            return;
        };
        if self.router.link_output(id).len() >= LARGE {
            self.write_link(id, &mut Context::from_waker(&waker));
        }
        waker.wake();
    }

    /// Writes until the socket is full or nothing is left, in the stream either.
    fn write_link(&mut self, id: LinkId, cx: &mut Context<'_>) {
        let Some(io) = self.links.get_mut(id.key()) else { return };
        loop {
            let output = self.router.link_output(id);
            if output.is_empty() {
                break;
            }
            match Pin::new(&mut io.stream).poll_write(cx, output) {
                Poll::Pending => return,
                Poll::Ready(Ok(len @ 1..)) => {
                    io.unflushed = true;
                    self.router.link_wrote(id, len, now());
                }
                // What Redis sent before the connection broke is still to be read.
                Poll::Ready(_) => return,
            }
        }
        if io.unflushed {
            // If the connection is broken, the next read reports it.
            io.unflushed = Pin::new(&mut io.stream).poll_flush(cx).is_pending();
        }
    }
}
