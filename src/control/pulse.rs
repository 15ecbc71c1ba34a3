//! The watch's pings: they check that the server answers, and that it is still the primary.
//!
//! A ping is `HELLO 2`. Every user may send it, Redis answers it while it loads its data or a
//! script overruns, and the answer contains the server's role. The kernel's probes show whether the
//! host is alive (see [`crate::net::keepalive`]); pings add the role, data on the watch's link that
//! the host must acknowledge, whether the server itself answers, and how many commands it has: a
//! module that is loaded brings commands, which the guard must not have if they are refused.
//!
//! An address may come to lead to another server while connections stay where they were: after a
//! failover of a service, a change of DNS, or NAT. When the old primary has become a replica, or
//! clients get `READONLY`, the watch opens a new connection, and if that reaches a primary, all
//! links are replaced. Until then the links stay, and the search is repeated after a wait that
//! doubles, so that a permanent replica is rarely asked.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};

use crate::config::{Endpoint, Node};
use crate::control::watch::Watch;
use crate::health::answers;
use crate::net::conversation::Conversation;
use crate::net::keepalive::{ping_every, stalls_after, watch_dead_after};
use crate::net::stream::Stream;
use crate::net::upstream_error::UpstreamError;
use crate::worker::handle::{LinkNews, Order};
use redoubt_core::upstream::guard::{Answer, Batch};
use redoubt_core::upstream::{Greeting, LoginError, Role};

/// First wait after a search that found no primary; doubled each time.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// Longest wait between two searches.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// Time between two looks at the addresses of the server's name.
const RESOLVE: Duration = Duration::from_secs(8);

/// How the watch's link ended, if it did not break.
enum Found {
    /// The address leads to a primary, and the server that links go to is a replica.
    Primary,
    /// The server's name has other addresses.
    OtherAddress,
}

/// The search for a primary at the upstream's address.
struct Search {
    /// The last known role of the server at the other end of the watch's link.
    role: Option<Role>,
    /// When the next search is scheduled; `None` if none is.
    next: Option<Instant>,
    /// Earliest time of the next search.
    not_before: Instant,
    wait: Duration,
    /// `true` if the server was a primary when the link was opened, so that searches go on until a
    /// primary is found.
    is_demoted: bool,
}

impl Search {
    fn new(role: Option<Role>) -> Self {
        let not_before = Instant::now();
        Self { role, next: None, not_before, wait: FIRST_LOOK, is_demoted: false }
    }

    /// Takes the role that the server reported; `suspected` if clients got `READONLY`.
    fn learn(&mut self, role: Option<Role>, suspected: bool) {
        match role {
            Some(Role::Replica) => {
                if self.role == Some(Role::Primary) {
                    info!(
                        "upstream has become a replica; looking for its primary at the same address"
                    );
                    self.is_demoted = true;
                }
                if self.is_demoted || suspected {
                    self.next.get_or_insert(self.not_before.max(Instant::now()));
                }
            }
            Some(Role::Primary) => *self = Self::new(role),
            None => {}
        }
        self.role = role.or(self.role);
    }

    /// Notes that a search found no primary.
    fn found_none(&mut self) {
        self.not_before = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_LOOK);
        self.next = self.is_demoted.then_some(self.not_before);
    }
}

/// The looks at the addresses of the server's name.
struct Looked {
    next: Instant,
    /// `true` if the last look did not find the address that links go to. Names may have more addresses than they
    /// show at a time.
    was_gone: bool,
}

impl Default for Looked {
    fn default() -> Self {
        Self { next: Instant::now() + RESOLVE, was_gone: false }
    }
}

impl Looked {
    /// Looks. Returns whether the name of `node` has twice had other addresses than that of `stream`.
    async fn is_elsewhere(&mut self, node: Option<&Node>, stream: &Stream) -> bool {
        self.next = Instant::now() + RESOLVE;
        let Some(Node::Tcp(Endpoint { host, port })) = node else { return false };
        let Some(own) = stream.peer_ip().filter(|_| host.parse::<IpAddr>().is_err()) else {
            return false;
        };
        let found = timeout(RESOLVE, lookup_host((host.as_str(), *port))).await;
        let Ok(Ok(addresses)) = found else { return false };
        let mut addresses = addresses.map(|address| address.ip().to_canonical()).peekable();
        let is_gone = addresses.peek().is_some() && addresses.all(|address| address != own);
        std::mem::replace(&mut self.was_gone, is_gone) && is_gone
    }
}

/// Returns at `at`; never returns for `None`.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Watch {
    /// Sends pings over `link` until it ends, or until the address leads to another server. Returns
    /// the news about links for the workers. After a cancellation it may be called again only with
    /// a new link.
    pub(crate) async fn pulse(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
    ) -> Option<LinkNews> {
        // An earlier call may have been cancelled while the server stalled.
        self.notify_links(LinkNews::Stalls(false)).await;
        let mut search = Search::new(greeting.role);
        let ended = self.ping_until_end(link, greeting, &mut search).await;
        self.notify_links(LinkNews::Stalls(false)).await;
        match ended {
            Ok(Found::Primary) => {
                info!("the upstream address leads to a new primary; links are replaced");
                Some(LinkNews::Demoted)
            }
            Ok(Found::OtherAddress) => {
                info!("the name of the upstream has another address; links are replaced");
                Some(LinkNews::Elsewhere)
            }
            Err(error) => {
                let why = error.chain();
                debug!(error = why, "the watch's link ended");
                let lasts = watch_dead_after(self.maker.target().dead_after);
                lasts.filter(|_| error.is_silence()).map(|lasts| {
                    info!(error = why, "the upstream host is silent; connections to it are closed");
                    LinkNews::Silent(lasts)
                })
            }
        }
    }

    /// # Errors
    /// The reason why the link ended.
    async fn ping_until_end(
        &self,
        link: &mut Conversation,
        greeting: Greeting,
        search: &mut Search,
    ) -> Result<Found, UpstreamError> {
        // A server that does not know HELLO does not report its role, so any answer is enough.
        let ping = if greeting.version.is_some() { &["HELLO", "2"][..] } else { &["PING"] };
        let mut ping = Batch::of(ping);
        ping.add(&["COMMAND", "COUNT"]);
        answers::add_questions(&mut ping);
        let mut next_ping = Instant::now();
        let mut looked = Looked::default();
        loop {
            let suspected = tokio::select! {
                ended = link.until_closed() => return Err(ended),
                () = until(search.next) => {
                    search.next = None;
                    if self.finds_primary().await {
                        return Ok(Found::Primary);
                    }
                    search.found_none();
                    continue;
                }
                () = sleep_until(looked.next) => {
                    let node = self.maker.target().node;
                    if looked.is_elsewhere(node.as_ref(), link.stream()).await
                        && self.reaches(search.role).await
                    {
                        return Ok(Found::OtherAddress);
                    }
                    continue;
                }
                () = self.health.role_suspected() => true,
                () = sleep_until(next_ping) => false,
            };
            let answers = self.ping(link, &ping).await?;
            let role = answers.first().and_then(|answer| Greeting::of(answer).role);
            if self.finder.has_choice() && role == Some(Role::Replica) {
                return Err(LoginError::Replica.into());
            }
            search.learn(role, suspected);
            if let Some(Answer::Integer(count)) = answers.get(1)
                && self.has_other_commands(*count)
            {
                self.commands_changed().await;
            }
            let every = ping_every(self.maker.target().dead_after).min(answers::INTERVAL);
            next_ping = Instant::now() + every;
        }
    }

    /// Sends one ping, however long its answer takes, and notifies the workers if that is long.
    async fn ping(
        &self,
        link: &mut Conversation,
        ping: &Batch,
    ) -> Result<Vec<Answer>, UpstreamError> {
        let stalls_after = stalls_after(self.maker.target().dead_after);
        let mut answer = std::pin::pin!(link.ask(ping));
        let answers = tokio::select! {
            answers = &mut answer => answers,
            () = sleep(stalls_after) => {
                debug!("upstream does not answer");
                self.notify_links(LinkNews::Stalls(true)).await;
                let answers = answer.await;
                self.notify_links(LinkNews::Stalls(false)).await;
                answers
            }
        };
        let answers = answers.inspect_err(|_| self.health.pulse.stopped())?;
        answers::take_answers(&answers, &self.health.pulse, &self.health.links);
        Ok(answers)
    }

    /// Returns whether a new connection reaches a primary.
    async fn finds_primary(&self) -> bool {
        self.reaches(Some(Role::Primary)).await
    }

    /// Returns whether a new connection reaches a server in this role.
    async fn reaches(&self, role: Option<Role>) -> bool {
        let target = self.maker.target();
        let configured = self.maker.configured.borrow().clone();
        let found = timeout(target.timeout, target.log_in(&configured)).await;
        matches!(found, Ok(Ok((_, greeting))) if greeting.role == role)
    }

    pub(crate) async fn notify_links(&self, news: LinkNews) {
        for worker in &self.workers {
            worker.order(Order::Links(news)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: Option<Role> = Some(Role::Primary);
    const REPLICA: Option<Role> = Some(Role::Replica);

    #[test]
    fn demotion_starts_a_search_and_a_replica_is_searched_only_when_writes_fail() {
        let mut search = Search::new(PRIMARY);
        search.learn(REPLICA, false);
        assert!(search.next.is_some());
        search.found_none();
        assert!(search.next.is_some(), "a search is scheduled");
        search.learn(PRIMARY, true);
        assert!(search.next.is_none(), "the server is a primary again");

        let mut search = Search::new(REPLICA);
        search.learn(REPLICA, false);
        assert!(search.next.is_none(), "nothing suggests another primary");
        search.learn(REPLICA, true);
        assert!(search.next.is_some());
        search.found_none();
        assert!(search.next.is_none(), "only when writes fail again");
    }

    #[test]
    fn searches_become_rare() {
        let mut search = Search::new(REPLICA);
        for _ in 0..20 {
            search.found_none();
        }
        let before = Instant::now();
        search.learn(REPLICA, true);
        let wait = search.next.unwrap().saturating_duration_since(before);
        assert!(wait > LONGEST_LOOK - Duration::from_secs(5), "{wait:?}");
        assert!(wait <= LONGEST_LOOK);
    }
}
