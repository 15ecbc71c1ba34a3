//! A worker's thread: its runtime, and the loop that takes orders and ticks.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use super::client::task::start;
use super::drain::drain;
use super::handle::{Order, Plan};
use super::heartbeat::Heartbeat;
use super::snapshot::answer;
use super::{Shared, Worker};
use crate::audit;
use crate::config::seconds;
use crate::net::now;

/// How often time limits of sessions are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a worker that is to stop still takes requests, so that what has arrived is answered: a
/// socket that is closed with bytes unread resets its client, replies and all.
const LAST_REQUESTS: Duration = Duration::from_millis(50);
/// Tasks that run before the system is asked what else has become ready. All sessions of a turn
/// should fit, so that a link is written once for them.
const TURN: u32 = 256;

/// Runs a worker on this thread until shutdown, and until its sessions have drained. However it
/// ends, the whole proxy ends with it.
///
/// # Errors
/// The system gave no runtime, or no random bytes.
pub(crate) fn run(
    plan: Plan,
    orders: mpsc::Receiver<Order>,
    heartbeat: Heartbeat,
) -> io::Result<()> {
    let _stop_all = plan.shutdown.clone().drop_guard();
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TURN)
        .build_local(LocalOptions::default())?;
    runtime.block_on(work(plan, orders, &heartbeat, key));
    heartbeat.end();
    Ok(())
}

async fn work(plan: Plan, mut orders: mpsc::Receiver<Order>, heartbeat: &Heartbeat, key: [u8; 32]) {
    let shared = Rc::new_cyclic(|me| RefCell::new(Worker::new(&plan, key, me.clone())));
    let mut tick = tokio::time::interval(TICK);
    let mut audit_is_full = audit::full();
    loop {
        tokio::select! {
            biased;
            () = plan.shutdown.cancelled() => break,
            Ok(()) = audit_is_full.changed() => shared.borrow_mut().clients.follow_audit_log(),
            Some(order) = orders.recv() => obey(&shared, order),
            _ = tick.tick() => {
                heartbeat.beat(now());
                shared.borrow_mut().tick();
            }
        }
    }
    orders.close();
    while let Ok(order) = orders.try_recv() {
        obey(&shared, order);
    }
    tokio::time::sleep(LAST_REQUESTS).await;
    let timeout = shared.borrow().in_force.borrow().shutdown_timeout;
    drain(&shared, timeout, heartbeat).await;
    let recorded = shared.borrow_mut().router.recorder().take();
    // Nothing is tried any more.
    drop(plan.learning.store().add(recorded, seconds()));
    plan.health.unserved.say_rest();
}

fn obey(shared: &Shared, order: Order) {
    match order {
        Order::Accept(accepted) => start(shared, accepted),
        Order::InForce(in_force, acknowledgement) => {
            shared.borrow_mut().put_in_force(in_force, acknowledgement);
        }
        Order::Links(news) => shared.borrow_mut().act_on(news),
        Order::Move(moving) => shared.borrow_mut().announce_move(moving),
        Order::Question(question) => answer(shared, question),
    }
}
