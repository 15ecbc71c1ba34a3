//! What a worker tells of itself when it is asked.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};

use crate::net::now;
use crate::net::peer::Peer;
use crate::worker::totals::Totals;
use crate::worker::{Shared, Worker};
use redoubt_core::policy::{RuleName, Scripts};
use redoubt_core::router::{LinkGauges, SessionId, SessionView};

/// Sessions that are looked at in one turn, so that those with something to do wait for no more.
const SLICE: usize = 128;

/// What a worker is asked.
pub(crate) enum Question {
    /// What are your sessions? So many of them at most.
    Sessions(usize, oneshot::Sender<Vec<Seen>>),
    /// What have you counted, and how full are you?
    Gauges(oneshot::Sender<Told>),
}

/// One session.
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) peer: Peer,
    pub(crate) listener: &'static str,
    pub(crate) certificate: Option<Arc<str>>,
    pub(crate) refused: u64,
    pub(crate) last_rule: Option<RuleName>,
    pub(crate) view: SessionView,
}

/// A worker's counts.
pub(crate) struct Told {
    /// Present sessions included.
    pub(crate) totals: Totals,
    pub(crate) sessions: usize,
    pub(crate) links: LinkGauges,
    /// Which scripts run.
    pub(crate) scripts: &'static str,
}

/// Answers as soon as other sessions let it. Whoever asked may have gone meanwhile.
pub(crate) fn answer(shared: &Shared, question: Question) {
    match question {
        Question::Sessions(most, reply) => {
            let shared = shared.clone();
            spawn_local(async move {
                drop(reply.send(sessions(&shared, most).await));
            });
        }
        Question::Gauges(reply) => drop(reply.send(shared.borrow().told())),
    }
}

async fn sessions(shared: &Shared, most: usize) -> Vec<Seen> {
    let ids: Vec<_> = shared.borrow().router.session_ids().take(most).collect();
    let mut all = Vec::with_capacity(ids.len());
    for slice in ids.chunks(SLICE) {
        {
            let worker = shared.borrow();
            all.extend(slice.iter().filter_map(|id| worker.seen(*id)));
        }
        yield_now().await;
    }
    all
}

impl Worker {
    fn seen(&self, id: SessionId) -> Option<Seen> {
        let view = self.router.view(id, now())?;
        let io = self.clients.get(id.key())?;
        Some(Seen {
            number: io.number,
            peer: io.peer,
            listener: io.listener(),
            certificate: io.certificate.clone(),
            refused: io.refused,
            last_rule: io.last_rule.clone(),
            view,
        })
    }

    fn told(&self) -> Told {
        let mut totals = self.totals.clone();
        let (commands, bytes_in, bytes_out) = self.router.session_sums();
        totals.add(&Totals { commands, bytes_in, bytes_out, ..Totals::default() });
        Told {
            totals,
            sessions: self.router.len(),
            links: self.router.levels().links,
            scripts: match &self.router.rules().scripts {
                Scripts::All => "all",
                Scripts::ReadOnly => "read-only",
                Scripts::Pinned(_) => "pinned",
                Scripts::Deny => "none",
            },
        }
    }
}
