//! The task of each link: connects it, logs it in, and drives it until it is closed.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::Until;
use crate::net::now;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use crate::telemetry::metrics;
use crate::worker::Shared;
use crate::worker::in_force::{InForce, wait_for_login};
use redoubt_core::router::LinkId;
use redoubt_core::upstream::LoginError;

/// Wait before the upstream is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Connects a link, logs it in, and drives it until it is closed.
pub(in crate::worker) async fn drive(shared: Shared, id: LinkId) {
    let opened = open_in_time(&shared, id).await;
    if let Err(UpstreamError::Login(LoginError::NotNow(error))) = &opened {
        shared.borrow_mut().router.link_not_now(id, error, now());
    }
    // An upstream that has no time is there.
    let is_there = matches!(opened, Ok(()) | Err(UpstreamError::Login(LoginError::NotNow(_))));
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

/// Opens a link. While the upstream cannot be reached, or it is not known which server is the primary, it is tried
/// again until the failover is over or its time limit: the requests of the sessions that wait have not been sent.
async fn open_in_time(shared: &Shared, id: LinkId) -> Result<(), UpstreamError> {
    let mut in_force = shared.borrow().in_force.subscribe();
    let held_until = {
        let timeout = in_force.borrow().target.failover_timeout;
        shared.borrow().health.holds_until(timeout)
    };
    let mut held = 0;
    loop {
        let target = in_force.borrow_and_update().target.clone();
        let limit = Instant::now() + target.timeout;
        let opened = tokio::select! {
            opened = timeout_at(limit, open(shared, id, &target)) => {
                opened.unwrap_or_else(|_| Err(target.timed_out()))
            }
            () = moved(&mut in_force, &target) => {
                shared.borrow_mut().links.close(id);
                continue;
            }
        };
        let is_there = matches!(opened, Ok(()) | Err(UpstreamError::Login(LoginError::NotNow(_))));
        metrics::upstream_connect(is_there);
        let Err(error) = opened else {
            metrics::held(held, true);
            return Ok(());
        };
        {
            let mut worker = shared.borrow_mut();
            worker.links.close(id);
            held = worker.router.waiting_for(id).max(held);
            let is_over = Instant::now() >= held_until || worker.router.link_is_closed(id);
            if !error.may_pass() || is_over {
                metrics::held(held, false);
                return Err(error);
            }
            worker.health.link_failed(&error);
            worker.router.doubt_upstream();
            worker.settle(None);
        }
        tokio::select! {
            () = moved(&mut in_force, &target) => {}
            () = sleep(PAUSE) => {}
        }
    }
}

/// Returns when links go to another server than that of `target`.
async fn moved(in_force: &mut watch::Receiver<Arc<InForce>>, target: &Target) {
    if in_force.wait_for(|in_force| in_force.target.node != target.node).await.is_err() {
        std::future::pending().await
    }
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
