//! What a worker answers when another thread asks for its sessions and counts.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};

use crate::net::now;
use crate::worker::report::refused::RefusedCommands;
use crate::worker::report::{SessionRecord, Totals};
use crate::worker::{Shared, Worker, listing};
use redoubt_core::observe::Recorded;
use redoubt_core::policy::Scripts;
use redoubt_core::router::{LinkGauges, SessionId, SessionView};
use redoubt_core::session::ClientLine;

/// Sessions that are looked at in one turn, so that sessions with something to do wait for no more.
const SLICE: usize = 128;

/// A question of another thread, and where the answer goes.
pub(crate) enum Question {
    /// What are your sessions, or those of this user? So many of them at most.
    Sessions(Option<Arc<str>>, usize, oneshot::Sender<Vec<SessionSnapshot>>),
    /// How does `CLIENT LIST` describe your sessions?
    Clients(oneshot::Sender<Vec<ClientLine>>),
    /// How many sessions have you, and now ended, of those with these numbers?
    End(Arc<[i64]>, oneshot::Sender<usize>),
    /// What have you counted, and how full are you?
    Gauges(oneshot::Sender<WorkerSnapshot>),
    /// What have observed sessions done since this was last asked?
    Recorded(oneshot::Sender<Recorded>),
    /// Which commands have been refused?
    Refused(oneshot::Sender<RefusedCommands>),
}

/// One session.
pub(crate) struct SessionSnapshot {
    pub(crate) record: SessionRecord,
    pub(crate) view: SessionView,
}

/// A worker's counts.
pub(crate) struct WorkerSnapshot {
    /// Present sessions included.
    pub(crate) totals: Totals,
    pub(crate) sessions: usize,
    pub(crate) links: LinkGauges,
    /// Which scripts run.
    pub(crate) scripts: &'static str,
}

/// Answers as soon as other sessions have had their turns. Whoever asked may have gone meanwhile.
pub(super) fn answer(shared: &Shared, question: Question) {
    match question {
        Question::Sessions(user, most, reply) => {
            let shared = shared.clone();
            spawn_local(async move {
                let look = |worker: &Worker, id| session(worker, id, user.as_deref());
                drop(reply.send(look_at(&shared, most, look).await));
            });
        }
        Question::Clients(reply) => {
            let shared = shared.clone();
            spawn_local(async move {
                drop(reply.send(listing::lines(&shared).await));
            });
        }
        Question::End(numbers, reply) => drop(reply.send(listing::end(shared, &numbers))),
        Question::Gauges(reply) => drop(reply.send(gauges(&shared.borrow()))),
        Question::Recorded(reply) => {
            drop(reply.send(shared.borrow_mut().router.recorder().take()));
        }
        Question::Refused(reply) => drop(reply.send(shared.borrow().reports.refused().clone())),
    }
}

/// Looks at the sessions of this worker, `most` at most, in several turns.
pub(super) async fn look_at<T>(
    shared: &Shared,
    most: usize,
    look: impl Fn(&Worker, SessionId) -> Option<T>,
) -> Vec<T> {
    let ids: Vec<_> = shared.borrow().router.session_ids().collect();
    let mut all = Vec::new();
    for slice in ids.chunks(SLICE) {
        {
            let worker = shared.borrow();
            let room = most.saturating_sub(all.len());
            all.extend(slice.iter().filter_map(|id| look(&worker, *id)).take(room));
        }
        if all.len() >= most {
            break;
        }
        yield_now().await;
    }
    all
}

fn session(worker: &Worker, id: SessionId, user: Option<&str>) -> Option<SessionSnapshot> {
    let view = worker.router.view(id, now())?;
    if user.is_some() && view.user.as_deref() != user {
        return None;
    }
    let record = worker.reports.record(id)?.clone();
    Some(SessionSnapshot { record, view })
}

fn gauges(worker: &Worker) -> WorkerSnapshot {
    let router = &worker.router;
    let mut totals = worker.reports.totals().clone();
    let (commands, bytes_in, bytes_out) = router.session_sums();
    totals.add(&Totals { commands, bytes_in, bytes_out, ..Totals::default() });
    WorkerSnapshot {
        totals,
        sessions: router.len(),
        links: router.gauges().links,
        scripts: match &router.rules().strangers().scripts {
            Scripts::All => "all",
            Scripts::ReadOnly => "read-only",
            Scripts::Pinned(_) => "pinned",
            Scripts::Deny => "none",
        },
    }
}
