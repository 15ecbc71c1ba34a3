//! What a reload puts in force in a worker.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::mpsc;

use crate::net::now;
use crate::net::upstream::Target;
use crate::worker::Worker;
use crate::worker::client::ClientIo;
use crate::worker::standing::Standing;
use redoubt_core::auth::{Identity, is_in};
use redoubt_core::policy::{Policy, Scripts};
use redoubt_core::router::{LinkId, SessionId, Timeouts};
use redoubt_core::session::{CloseReason, KeyForm, Limits, Rules};

/// All that changes, to be put in force at once: no request is decided by a part of it.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) policy: Policy,
    /// Present if other scripts run than before.
    pub(crate) scripts: Option<Scripts>,
    pub(crate) identity: Identity,
    pub(crate) auth_attempts: u32,
    pub(crate) keys: KeyForm,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) target: Target,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) stall_timeout: Option<Duration>,
    /// Where sessions may be from; everywhere if it is empty.
    pub(crate) allow: Arc<[IpNet]>,
    /// Present if links log in otherwise than before.
    pub(crate) standing: Option<Standing>,
    /// Present if links are to be closed on which scripts may be, or transactions; held until Redis
    /// has dealt with all that was sent over them.
    pub(crate) closing: Option<mpsc::Sender<Infallible>>,
}

impl Worker {
    /// Puts `change` in force. Returns how many sessions end for it.
    pub(crate) fn change(&mut self, change: Change) -> u64 {
        let before = self.exchange.going_on();
        self.exchange.set_max_link_age(change.target.max_link_age);
        self.target = change.target;
        self.shutdown_timeout = change.shutdown_timeout;
        self.stall_timeout = change.stall_timeout;
        self.exchange.replace_timeouts(change.timeouts);
        if let Some(scripts) = change.scripts {
            self.configured_scripts = scripts;
        }
        self.configured_policy = change.policy;
        let mut rules = Rules {
            policy: self.policy(),
            identity: change.identity,
            auth_attempts: change.auth_attempts,
            keys: change.keys,
            limits: change.limits,
            ..Rules::clone(self.exchange.rules())
        };
        if let Some(standing) = &change.standing {
            self.rule(standing, &mut rules);
        }
        rules.scripts = self.scripts();
        self.exchange.replace_rules(Arc::new(rules));
        self.close_strangers(&change.allow);
        let mut closes = change.closing.is_some();
        if let Some(standing) = &change.standing {
            closes |= self.log_in_as(standing);
        }
        if closes {
            self.close_links_with_scripts(change.closing.as_ref());
        }
        if let Some(standing) = &change.standing {
            self.go_on(standing);
        }
        let closed = before.saturating_sub(self.exchange.going_on());
        self.settle(None);
        u64::try_from(closed).unwrap_or(u64::MAX)
    }

    fn close_strangers(&mut self, allow: &[IpNet]) {
        if allow.is_empty() {
            return;
        }
        let is_stranger = |io: &ClientIo| io.peer.ip().is_some_and(|ip| !is_in(allow, ip));
        let strangers = self.clients.iter().filter(|(_, io)| is_stranger(io));
        for id in strangers.map(|(key, _)| SessionId::from_key(key)).collect::<Vec<_>>() {
            self.exchange.abort(id, CloseReason::NotAllowed);
        }
    }

    /// Closes them, so that Redis is told of it and not cut off: what has arrived there runs all the
    /// same, and only Redis's own closing tells that it has.
    fn close_links_with_scripts(&mut self, held: Option<&mpsc::Sender<Infallible>>) {
        self.exchange.drop_links_with_scripts(now());
        let Some(held) = held else { return };
        let closed: Vec<_> = self
            .links
            .keys()
            .filter(|key| self.exchange.link_is_closed(LinkId::from_key(*key)))
            .collect();
        for key in closed {
            if let Some(io) = self.links.remove(key) {
                tokio::task::spawn_local(io.finish(self.target.timeout, held.clone()));
            }
        }
    }
}
