//! The task of each link: connects it, logs it in, and drives it until it is closed.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use tokio::time::{Instant, timeout_at};

use super::Until;
use crate::net::now;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use crate::telemetry::metrics;
use crate::worker::Shared;
use crate::worker::in_force::wait_for_login;
use redoubt_core::router::LinkId;
use redoubt_core::upstream::LoginError;

/// Connects a link, logs it in, and drives it until it is closed.
pub(in crate::worker) async fn drive(shared: Shared, id: LinkId) {
    let target = shared.borrow().in_force.borrow().target.clone();
    let deadline = Instant::now() + target.timeout;
    let opened = timeout_at(deadline, open(&shared, id, &target));
    let opened = opened.await.unwrap_or_else(|_| Err(target.timed_out()));
    if let Err(UpstreamError::Login(LoginError::NotNow(error))) = &opened {
        shared.borrow_mut().router.link_not_now(id, error, now());
    }
    // An upstream that has no time is there.
    let is_there = matches!(opened, Ok(()) | Err(UpstreamError::Login(LoginError::NotNow(_))));
    metrics::upstream_connect(is_there);
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
    worker.links.close(id);
}

/// Connects a link and logs it in as the value in force says; once more with the next guard if the
/// server does not know this guard any more.
async fn open(shared: &Shared, id: LinkId, target: &Target) -> Result<(), UpstreamError> {
    let in_force = shared.borrow().in_force.subscribe();
    let mut refused = None;
    loop {
        let (stream, own) = target.connect().await?;
        if in_force.borrow().login.known().is_none() {
            // The watch may be waiting between two tries, for longer than the link may wait for it.
            shared.borrow().health.link_waits();
        }
        let login = wait_for_login(in_force.clone(), refused).await?;
        {
            let mut worker = shared.borrow_mut();
            worker.links.add(id, stream, own);
            worker.router.link_connected(id, now());
        }
        match poll_fn(|cx| poll(shared, id, Until::Ready, cx)).await {
            Err(UpstreamError::Login(LoginError::WrongPassword)) if login.has_guards() => {
                let mut worker = shared.borrow_mut();
                worker.links.close(id);
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
