//! Over which link a request goes, and whether it can go there now.

use std::time::{Duration, Instant};

use super::super::key::{Lane, LinkKey};
use super::super::links::{Links, Usage, Want};
use super::super::session::Session;
use super::super::{LinkId, SessionId};
use super::Pipeline;
use crate::auth::Permit;
use crate::command::{Effect, Spec};
use crate::session::{Action, Decision, Limits, Need};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Nowhere: Redoubt answers it, or nobody does.
    Local,
    /// Over this link, which is the session's own or shared.
    Link(LinkId),
    /// Over this link, which has just become the session's own and is to be prepared. Whether a
    /// harmless command goes first, so that Redis notes the replication offset of earlier writes.
    Lease(LinkId, Noted),
    /// Nowhere: no link can be had, and the session ends as Redis ends one that has no room.
    Refused,
    /// Nowhere now: the session goes on when replies come, when a link has room, or at a tick.
    Wait,
}

/// Whether Redis is to note the replication offset that the session's earlier writes have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted(pub(super) bool);

/// What is looked at to find a route.
pub(super) struct Routing<'a> {
    pub(super) id: SessionId,
    pub(super) session: &'a mut Session,
    pub(super) links: &'a mut Links,
    pub(super) limits: &'a Limits,
    pub(super) now: Instant,
}

impl Pipeline<'_> {
    /// The route of a request for `spec` of `len` bytes, or of a large one that has begun. Most go where
    /// the session's last one went.
    #[inline]
    pub(super) fn route(
        &mut self,
        decision: &Decision,
        spec: Option<&Spec>,
        len: Option<usize>,
    ) -> Route {
        if let Decision::Plain = decision
            && let Some(link) = self.session.link
            && (self.session.state.is_leased() || self.may_go_on(link, len))
        {
            return Route::Link(link);
        }
        let routing = Routing {
            id: self.id,
            session: self.session,
            links: self.links,
            limits: &self.rules.limits,
            now: self.now,
        };
        routing.route(decision, spec, len)
    }

    /// Returns whether the shared link that the session has used last takes one more plain request from it.
    #[inline]
    fn may_go_on(&self, link: LinkId, len: Option<usize>) -> bool {
        len.is_some_and(|len| len < Routing::LARGE)
            && self.session.due.remote() < Routing::MOST_SHARED
            && !self.session.is_weighty(&self.rules.limits, self.now)
            && self.links.takes(link, LinkKey::of(&self.session.state, Lane::Plain))
    }
}

impl Routing<'_> {
    /// Bytes of a whole request from which on it costs less on a link of its own: there is nothing
    /// to gain from sending it together with others, and it holds none of them up.
    const LARGE: usize = 64 << 10;
    /// Replies that may be due to one session on a link that others use too. Redis turns to the next
    /// client after one read of 16 KiB, which is about as many short requests; without this bound a
    /// pipeline of slow commands would hold the others up until all of it has run.
    const MOST_SHARED: u32 = 512;
    /// How long a request waits for a link that cannot be opened now, before its session is ended.
    const PLACE_WAIT: Duration = Duration::from_secs(5);

    /// The route of a request for `spec` of `len` bytes, or of a large one that has begun, which is not
    /// as plain as most are.
    #[inline(never)]
    pub(super) fn route(
        mut self,
        decision: &Decision,
        spec: Option<&Spec>,
        len: Option<usize>,
    ) -> Route {
        let Decision::Special(special) = decision else {
            return self.needing(Need::Shared, spec, len);
        };
        match special.action.need() {
            // No link is opened for a client that is refused when the decision is applied.
            Some(_) if special.claim.authenticates && !self.may_authenticate() => Route::Local,
            Some(need) => self.needing(need, spec, len),
            None if special.action == Action::Unsettled => Route::Wait,
            None => Route::Local,
        }
    }

    fn may_authenticate(&self) -> bool {
        self.session.permit.as_ref().is_none_or(Permit::may_authenticate)
    }

    fn needing(&mut self, need: Need, spec: Option<&Spec>, len: Option<usize>) -> Route {
        if self.session.state.is_leased() {
            return match self.session.link {
                Some(own) => Route::Link(own),
                None => self.lend(Want::Own, need),
            };
        }
        let moves = self.session.due.remote() > 0;
        let need = if need == Need::Shared && !moves && self.is_better_leased(spec, len) {
            Need::Lease
        } else {
            need
        };
        match need {
            Need::Lease | Need::NotedLease | Need::Moved(_) if moves => Route::Wait,
            Need::Lease | Need::NotedLease if self.can_have_lease(need, Want::Lease) => {
                self.lend(Want::Lease, need)
            }
            Need::Lease | Need::NotedLease => Route::Wait,
            Need::Shared | Need::Fenced | Need::Script | Need::Moved(_) => self.shared(need, moves),
        }
    }

    /// A session changes its link only when nothing is due from the one it has, and waits for room on a
    /// shared one. `moves`: whether replies are due, so that it cannot change now.
    fn shared(&mut self, need: Need, moves: bool) -> Route {
        let key = self.key(need);
        let target = match self.session.link {
            Some(left) if moves && self.is_left_to(left, key) => Some(left),
            // Its next reply tells the session to go on.
            _ if self.session.due.remote() >= Self::MOST_SHARED => return Route::Wait,
            _ if self.goes_alone() => {
                if moves || !self.can_have_lease(need, Want::SlowLease) {
                    return Route::Wait;
                }
                return match self.lend(Want::SlowLease, need) {
                    Route::Refused => self.share(key),
                    lent => lent,
                };
            }
            // Much waits for it, and there is no link to spare on which more could come without
            // delay for others: the client must read first.
            _ if self.session.is_heavy(self.limits) => return Route::Wait,
            Some(link) if self.links.serves(link, key, moves) => Some(link),
            _ if moves => return Route::Wait,
            _ => self.links.shared(key),
        };
        match target {
            Some(full) if self.links.is_full(full) => {
                self.wait_for(full);
                Route::Wait
            }
            Some(link) => Route::Link(link),
            None if self.can_share() => self.share(key),
            None => Route::Wait,
        }
    }

    fn share(&mut self, key: LinkKey) -> Route {
        self.links.share(key, self.now).map_or(Route::Refused, Route::Link)
    }

    fn lend(&mut self, want: Want, need: Need) -> Route {
        let wanted = self.lease_key(need);
        match self.links.lend(self.id, wanted, want, self.now) {
            Some(link) => Route::Lease(link, Noted(need == Need::NotedLease)),
            None => Route::Refused,
        }
    }

    /// Returns whether a request that any link can carry goes over a lease all the same. It does so only
    /// while there is one that will be kept afterwards, and nothing to be waited for.
    fn is_better_leased(&self, spec: Option<&Spec>, len: Option<usize>) -> bool {
        len.is_some_and(|len| len >= Self::LARGE)
            && spec.is_some_and(|spec| spec.effect == Effect::None)
            && self.links.has_lease_to_spare()
    }

    /// Returns whether the session is to have a link of its own because much is sent to it.
    fn goes_alone(&self) -> bool {
        self.session.is_weighty(self.limits, self.now) && self.links.has_room_for_slow()
    }

    /// Returns whether `link` is retired and a session that much is sent to may go on there: it may read
    /// nothing before it has sent everything.
    fn is_left_to(&self, link: LinkId, key: LinkKey) -> bool {
        self.session.is_weighty(self.limits, self.now) && self.links.serves_last_session(link, key)
    }

    /// Has a shared link tell the session when there is room on it.
    fn wait_for(&mut self, link: LinkId) {
        if !self.session.waits
            && let Some(Usage::Shared(shared)) = self.links.get_mut(link).map(|l| &mut l.usage)
        {
            shared.wait(self.id);
            self.session.waits = true;
        }
    }

    /// Returns whether a lease can be lent now, or is to be refused.
    fn can_have_lease(&mut self, need: Need, want: Want) -> bool {
        let can = self.links.can_lend(self.lease_key(need), want);
        self.wait_for_place(can)
    }

    /// Returns whether a shared link can be opened now, or is to be refused.
    fn can_share(&mut self) -> bool {
        let can = self.links.reserve(Want::Shared);
        self.wait_for_place(can)
    }

    /// Returns true when there is a place, or the session has waited long enough for one. Until then
    /// it looks again at each tick. One that has not authenticated does not wait.
    fn wait_for_place(&mut self, can: bool) -> bool {
        if can || !self.session.state.is_authenticated() {
            self.session.wants_link = None;
            return true;
        }
        let since = *self.session.wants_link.get_or_insert(self.now);
        self.now.saturating_duration_since(since) >= Self::PLACE_WAIT
    }

    /// Returns what the link for a request is for.
    #[inline]
    fn key(&self, need: Need) -> LinkKey {
        let lane = match need {
            Need::Script => Lane::Scripts,
            Need::Fenced => Lane::Fenced,
            _ => Lane::Plain,
        };
        let key = LinkKey::of(&self.session.state, lane);
        match need {
            Need::Moved(protocol) => LinkKey { protocol, ..key },
            _ => key,
        }
    }

    /// The same for a link of the session's own.
    fn lease_key(&self, need: Need) -> LinkKey {
        LinkKey { lane: Lane::Lease, ..self.key(need) }
    }
}
