//! The one value that says what is in force, and what a worker does when it gets the next one.
//!
//! The control plane composes each value and sends it whole. A worker compares it with the value that it
//! has and acts on the difference; nothing else changes the worker's rules, credentials or timeouts. So no
//! request is decided by a part of a change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

use super::Worker;
use super::client::ClientIo;
use super::link_login::LinkLogin;
use crate::net::now;
use crate::net::upstream::Target;
use redoubt_core::auth::is_in;
use redoubt_core::router::{LinkId, SessionId, Timeouts};
use redoubt_core::session::{CloseReason, Rules};

/// Everything that sessions and links of all workers obey. A value never changes; the next one takes its
/// place.
pub(crate) struct InForce {
    /// Counts up with each value.
    pub(crate) version: u64,
    /// The rules of all sessions, complete: the policy without what the server makes needless, and the
    /// scripts without those that are withheld.
    pub(crate) rules: Arc<Rules>,
    pub(crate) timeouts: Timeouts,
    /// Where links go.
    pub(crate) target: Target,
    /// How long sessions may take to end when the worker stops.
    pub(crate) shutdown_timeout: Duration,
    /// How long a shared link may owe a reply while Redis answers on another; `None` for ever.
    pub(crate) stall_timeout: Option<Duration>,
    /// Networks that sessions may come from; every network if it is empty.
    pub(crate) allow: Arc<[IpNet]>,
    /// How links log in.
    pub(crate) login: LinkLogin,
    /// Counts up when links on which scripts may run or wait have to be closed, since those scripts have
    /// more rights there than they should.
    pub(crate) scripts_generation: u64,
}

/// How a worker answers when a value is in force.
pub(crate) struct Acknowledgement {
    /// Receives how many sessions end because of the value.
    pub(crate) ended: oneshot::Sender<u64>,
    /// Dropped when Redis has dealt with all that was sent over the links that the value closes. `None`
    /// if nobody waits for that; links are then closed without waiting for Redis.
    pub(crate) finishing: Option<mpsc::Sender<Infallible>>,
}

impl Worker {
    /// Puts `next` in force.
    ///
    /// Rules and credentials come first, and links that wait to log in go on last: nothing is decided or
    /// sent by what was in force before, once something has gone on by what is in force now.
    pub(crate) fn put_in_force(
        &mut self,
        next: Arc<InForce>,
        acknowledgement: Option<Acknowledgement>,
    ) {
        let before = Arc::clone(&self.in_force.borrow());
        if next.version <= before.version {
            // The sender sends in order. If it ever did not, what was withdrawn must not come back.
            return;
        }
        let sessions_before = self.router.going_on();
        self.router.set_max_link_age(next.target.max_link_age);
        self.router.replace_timeouts(next.timeouts);
        self.router.replace_rules(Arc::clone(&next.rules));
        self.close_disallowed(&next.allow);
        if let Some(login) = &next.login.last {
            match &before.login.last {
                // The same credentials change nothing.
                Some(_) => self.router.rotate_credentials(login.credentials.clone(), now()),
                // No link has logged in yet.
                None => self.router.replace_credentials(login.credentials.clone()),
            }
        }
        if next.scripts_generation != before.scripts_generation {
            let finishing = acknowledgement.as_ref().and_then(|ack| ack.finishing.as_ref());
            self.close_links_with_scripts(next.target.timeout, finishing);
        }
        self.in_force.send_replace(next);
        let ended = sessions_before.saturating_sub(self.router.going_on());
        self.settle(None);
        if let Some(Acknowledgement { ended: answer, .. }) = acknowledgement {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(u64::try_from(ended).unwrap_or(u64::MAX));
        }
    }

    /// Closes sessions from networks that are not allowed. It looks at all of them even if `allow` is as
    /// before: a connection may have been accepted under the former networks and handed over after the
    /// change.
    fn close_disallowed(&mut self, allow: &[IpNet]) {
        if allow.is_empty() {
            return;
        }
        let is_disallowed = |io: &ClientIo| io.peer.ip().is_some_and(|ip| !is_in(allow, ip));
        let disallowed = self.clients.iter().filter(|(_, io)| is_disallowed(io));
        for id in disallowed.map(|(key, _)| SessionId::from_key(key)).collect::<Vec<_>>() {
            self.router.abort(id, CloseReason::NotAllowed);
        }
    }

    /// Closes the links on which scripts may run or wait. With `finishing` each is closed so that Redis is
    /// told of it and not cut off, for at most `timeout`: what has arrived there runs all the same, and
    /// only Redis's own closing tells that it has.
    fn close_links_with_scripts(
        &mut self,
        timeout: Duration,
        finishing: Option<&mpsc::Sender<Infallible>>,
    ) {
        self.router.drop_links_with_scripts(now());
        let Some(finishing) = finishing else { return };
        let closed: Vec<_> = self
            .links
            .keys()
            .filter(|key| self.router.link_is_closed(LinkId::from_key(*key)))
            .collect();
        for key in closed {
            if let Some(io) = self.links.remove(key) {
                tokio::task::spawn_local(io.finish(timeout, finishing.clone()));
            }
        }
    }
}
