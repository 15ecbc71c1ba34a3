//! A worker: one thread with its own runtime, sessions and links.
//!
//! Owns: the sockets of its clients and links, and when the core is called. Leaves to
//! [`redoubt_core::router`]: what the bytes mean.
//!
//! Nothing on the way of a request is shared with other workers or locked. Each socket has a task that
//! only polls its worker; a link is written when the clients that were ready in the same turn have
//! spoken, and the replies of one read of a link are written to their clients at once.
//!
//! | part | what it owns |
//! |---|---|
//! | `client` | the sockets of clients, and their tasks |
//! | `link` | the sockets of links, and their tasks |
//! | `report` | what logs, metrics and `/stats` say of sessions |
//! | `in_force`, `link_login` | the value that is in force |
//! | `thread`, `drain` | the loop, and its end |
//! | `handle`, `heartbeat`, `snapshot` | what other threads send and ask |
//! | `listing` | descriptions of sessions for `CLIENT LIST` |
//! | `flushing` | keys that are deleted in place of `FLUSHDB` and `FLUSHALL` |
//!
//! [`Worker`] puts the parts together. Its tasks borrow it, and it starts the tasks of links, so the two
//! know each other.

mod client;
mod drain;
pub(crate) mod flushing;
pub(crate) mod handle;
pub(crate) mod heartbeat;
pub(crate) mod in_force;
mod link;
pub(crate) mod link_login;
mod listing;
pub(crate) mod report;
pub(crate) mod snapshot;
pub(crate) mod thread;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use self::client::{ClientSockets, Next, Turn};
use self::flushing::FlushOrder;
use self::handle::{LinkNews, Move, Order, Plan};
use self::in_force::{Acknowledgement, InForce};
use self::link::{LinkSockets, Read, Until};
use self::report::Reports;
use crate::health::Health;
use crate::net::now;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::router::{LinkFault, LinkId, Router, SessionId};
use redoubt_core::session::CloseReason;

/// Bytes read from a link at once, and at most from a client; see [`Router::read_size`].
const READ_SIZE: usize = 256 << 10;

/// All that the tasks of a worker share. A task borrows it while it polls, never across an await.
struct Worker {
    router: Router,
    clients: ClientSockets,
    links: LinkSockets,
    reports: Reports,
    health: Arc<Health>,
    /// The other workers.
    others: Vec<mpsc::WeakSender<Order>>,
    /// Who deletes keys for sessions.
    flushes: mpsc::Sender<FlushOrder>,
    /// What is in force. Links that wait to log in follow it, so it is replaced only when the router
    /// has the rules and credentials of the new value.
    in_force: watch::Sender<Arc<InForce>>,
    /// Where sockets are read to; what is not dealt with at once is copied out.
    scratch: Box<[u8]>,
    me: Weak<RefCell<Worker>>,
}

type Shared = Rc<RefCell<Worker>>;

impl Worker {
    fn new(plan: &Plan, key: [u8; 32], me: Weak<RefCell<Self>>) -> Self {
        let in_force = Arc::clone(&plan.in_force);
        // While it is not known how links log in, none does: they wait.
        let login = in_force.login.last.as_ref();
        let credentials = login.map(|login| login.link_credentials());
        let mut router = Router::new(
            Arc::clone(&in_force.rules),
            in_force.timeouts,
            credentials.unwrap_or_default(),
            plan.sharing,
            key,
        )
        .counting_links(plan.health.links.budget())
        .counting_memory(&plan.memory)
        .remembering_scripts(plan.scripts.clone(), &key);
        router.set_max_link_age(in_force.target.max_link_age);
        if in_force.target.servers.single().is_none() {
            router.go_to_primaries_only();
        }
        Self {
            router,
            clients: ClientSockets::new(),
            links: LinkSockets::new(),
            reports: Reports::new(Arc::clone(&plan.health)),
            health: Arc::clone(&plan.health),
            others: plan.others.clone(),
            flushes: plan.flushes.clone(),
            in_force: watch::Sender::new(in_force),
            scratch: vec![0; READ_SIZE].into(),
            me,
        }
    }

    /// Does what time asks for. To be called a few times a second.
    fn tick(&mut self) {
        if self.health.is_down() {
            self.router.doubt_upstream();
        }
        self.router.tick(now());
        if self.router.take_read_only() {
            self.health.suspect_role();
        }
        self.close_stalled();
        self.clients.end_gone(&mut self.router);
        self.settle(None);
        self.reports.tick(&mut self.router);
    }

    /// Does what there is to do for one client, for one turn at most: others wait meanwhile.
    fn poll_client(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let mut turn = Turn { left: self.router.read_size(id), has_more_output: false };
        loop {
            turn.has_more_output = !self.clients.write(&mut self.router, id, cx);
            self.settle(Some(id));
            match self.clients.read(&mut self.router, &mut self.scratch, id, &mut turn, cx) {
                Next::Again => {}
                Next::Wait => return Poll::Pending,
                Next::Over => return Poll::Ready(()),
            }
        }
    }

    /// Reads and writes a link as far as that goes. An error means that the link never became ready.
    fn poll_link(
        &mut self,
        id: LinkId,
        until: Until,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UpstreamError>> {
        if !self.links.note_task(id, cx) {
            return Poll::Ready(Ok(()));
        }
        loop {
            self.links.write(&mut self.router, id, cx);
            self.settle(None);
            if self.router.link_is_closed(id)
                || (until == Until::Ready && self.router.link_is_ready(id))
            {
                return Poll::Ready(Ok(()));
            }
            match self.links.read(&mut self.router, &mut self.scratch, id, cx) {
                Read::Nothing => return Poll::Pending,
                Read::Closed => return Poll::Ready(Ok(())),
                Read::Bytes(outcome) => {
                    self.settle(None);
                    match outcome {
                        Ok(()) => {}
                        Err(LinkFault::Login(error)) => return Poll::Ready(Err(error.into())),
                        Err(LinkFault::Unexpected(error)) => {
                            error!(%error, "closed a link and its session");
                        }
                    }
                }
                Read::End => {
                    if !self.router.link_is_ready(id) {
                        return Poll::Ready(Err(self.in_force.borrow().target.ended()));
                    }
                    self.router.link_lost(id, now());
                    self.settle(None);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Carries out what came of a call into the router. `current` is the client whose own task
    /// is running, which looks after itself.
    fn settle(&mut self, current: Option<SessionId>) {
        loop {
            if let Some(id) = self.router.next_link_to_open() {
                if let Some(me) = self.me.upgrade() {
                    tokio::task::spawn_local(link::task::drive(me, id));
                }
            } else if let Some((id, described)) = self.router.next_listing() {
                if let Some(me) = self.me.upgrade() {
                    tokio::task::spawn_local(listing::collect(me, id, described));
                }
            } else if let Some((id, flush)) = self.router.next_flush() {
                if let Some(me) = self.me.upgrade() {
                    tokio::task::spawn_local(flushing::delete(me, id, flush));
                }
            } else if let Some(id) = self.router.next_touched() {
                if Some(id) != current {
                    self.clients.attend(&mut self.router, id);
                }
            } else if let Some(id) = self.router.next_touched_link() {
                self.links.attend(&mut self.router, id);
            } else {
                break;
            }
        }
        if self.reports.take(&mut self.router) {
            self.clients.follow_audit_log();
        }
    }

    /// Forgets a session and closes its socket.
    fn close_client(&mut self, id: SessionId) {
        self.router.forget(id, now());
        self.settle(Some(id));
        self.clients.close(id);
        self.reports.forget(id);
    }

    /// Puts `next` in force.
    ///
    /// Rules and credentials come first, and links that wait to log in go on last: nothing is decided or
    /// sent by what was in force before, once something has gone on by what is in force now.
    fn put_in_force(&mut self, next: Arc<InForce>, acknowledgement: Option<Acknowledgement>) {
        let before = Arc::clone(&self.in_force.borrow());
        if next.version <= before.version {
            // The sender sends in order. If it ever did not, what was withdrawn must not come back.
            return;
        }
        let sessions_before = self.router.going_on();
        self.router.set_max_link_age(next.target.max_link_age);
        self.router.replace_timeouts(next.timeouts);
        self.router.replace_rules(Arc::clone(&next.rules));
        if !next.allow.is_empty() {
            // Also if the networks are as before: a connection may have been accepted under the former
            // ones and handed over after the change.
            for id in self.reports.sessions_outside(&next.allow) {
                self.router.abort(id, CloseReason::NotAllowed);
            }
        }
        if let Some(login) = &next.login.last {
            let credentials = login.link_credentials();
            match &before.login.last {
                // The same credentials change nothing.
                Some(_) => self.router.rotate_credentials(credentials, now()),
                // No link has logged in yet.
                None => self.router.replace_credentials(credentials),
            }
        }
        if next.scripts_generation != before.scripts_generation {
            self.router.drop_links_with_scripts(now());
            if let Some(finishing) = acknowledgement.as_ref().and_then(|ack| ack.finishing.as_ref())
            {
                self.links.finish_closed(&self.router, next.target.timeout, finishing);
            }
        }
        if next.target.node != before.target.node {
            self.router.fail_over(now());
        }
        self.in_force.send_replace(next);
        let ended = sessions_before.saturating_sub(self.router.going_on());
        self.settle(None);
        if let Some(Acknowledgement { ended: answer, .. }) = acknowledgement {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(u64::try_from(ended).unwrap_or(u64::MAX));
        }
    }

    /// Acts on what the watch has found out about links.
    fn act_on(&mut self, news: LinkNews) {
        match news {
            LinkNews::Stalls(stalls) => {
                let dead_after = self.in_force.borrow().target.dead_after;
                self.links.set_upstream_stalls(stalls, dead_after);
            }
            LinkNews::Silent(silent) => self.links.lose_older(&mut self.router, silent),
            LinkNews::Elsewhere => self.router.replace_links(now()),
            LinkNews::Demoted => self.router.fail_over(now()),
        }
        self.settle(None);
    }

    /// Notifies the clients that have asked for it that they are to reconnect.
    fn announce_move(&mut self, Move { number, seconds }: Move) {
        let clients = self.router.announce_move(number, seconds, now());
        if clients > 0 {
            info!(clients, seconds, "clients with maintenance notifications are to reconnect");
        }
        self.settle(None);
    }

    /// Closes shared links that have owed a reply for too long while Redis answers on the watch's own
    /// connection. Then something blocks that link alone: while a command takes Redis's only thread, or a
    /// script overruns, the watch has no answer either, and no link is to blame.
    fn close_stalled(&mut self) {
        let Some(timeout) = self.in_force.borrow().stall_timeout else { return };
        if self.health.pulse.lasts(now()) < timeout {
            return;
        }
        for stalled in self.router.close_stalled(timeout, now()) {
            self.reports.stalled(&stalled, timeout);
        }
    }
}
