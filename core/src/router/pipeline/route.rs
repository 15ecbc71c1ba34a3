//! Picks the link that a request is sent over, and decides whether it can be sent now.

use std::time::{Duration, Instant};

use super::super::key::{Lane, LinkKey};
use super::super::links::{Held, Links, Want};
use super::super::session::{Listing, Session};
use super::super::{Jobs, LinkId, SessionId};
use super::Pipeline;
use crate::auth::{IdentityId, Permit};
use crate::command::{Effect, Spec};
use crate::session::{
    Action, CloseReason, Decision, Described, Flush, IdentityBounds, Limits, Need, Rulebook,
};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// The request is not sent: Redoubt answers it, or it has no reply.
    Local,
    /// The request is sent over this link, which is the session's lease or shared.
    Link(LinkId),
    /// The request is sent over this link, which has just been lent to the session and must be prepared.
    Lease(LinkId, Noted),
    /// The request is not sent: no link can be opened, and the session ends as in a Redis that has too many
    /// clients.
    Refused,
    /// The request is not sent now: the session continues when replies come, when a link has room, or at a tick.
    Wait,
}

/// True if a harmless command precedes the request, so that Redis notes the replication offset that the
/// session's earlier writes have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted(pub(super) bool);

/// What a route depends on.
pub(super) struct Routing<'a> {
    pub(super) id: SessionId,
    pub(super) session: &'a mut Session,
    pub(super) links: &'a mut Links,
    pub(super) jobs: &'a mut Jobs,
    pub(super) rulebook: &'a Rulebook,
    pub(super) limits: &'a Limits,
    /// The identity that the session has when the request is carried out.
    pub(super) identity: IdentityId,
    pub(super) now: Instant,
}

impl Pipeline<'_> {
    /// Returns the route of a request for `spec` of `len` bytes, or of a large request that has begun. Most take
    /// the route of the session's previous request.
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
        self.routing().route(decision, spec, len)
    }

    /// Lends the session a lease without a request of its own.
    pub(in crate::router) fn take_own_lease(&mut self) {
        let route = self.routing().needing(Need::Lease, None, None);
        if let Route::Lease(..) = route {
            self.take_link(route);
        }
    }

    fn routing(&mut self) -> Routing<'_> {
        let identity = self.session.state.identity();
        Routing {
            id: self.id,
            session: self.session,
            links: self.links,
            jobs: self.jobs,
            rulebook: self.rulebook,
            limits: &self.rules.limits,
            identity,
            now: self.now,
        }
    }

    /// Returns whether the shared link that the session has used last takes one more plain request from it.
    #[inline]
    fn may_go_on(&self, link: LinkId, len: Option<usize>) -> bool {
        len.is_some_and(|len| len < Routing::LARGE)
            && self.session.pending.remote() < Routing::MOST_SHARED
            && !self.session.needs_own_link(&self.rules.limits, self.now)
            && self.links.takes(link, LinkKey::of(&self.session.state, Lane::Plain))
    }
}

impl Routing<'_> {
    /// Bytes of a whole request at which a lease costs less: sending the request together with others gains
    /// nothing, and on a lease it does not delay them.
    const LARGE: usize = 64 << 10;
    /// Replies that may be pending for one session on a shared link. Redis turns to the next client after one
    /// read of 16 KiB, which is about as many short requests; without this bound a pipeline of slow
    /// commands would delay the other sessions until all of it has run.
    const MOST_SHARED: u32 = 512;
    /// How long a request waits for a link that cannot be opened now, before its session is ended.
    const PLACE_WAIT: Duration = Duration::from_secs(5);
    /// How long the right password waits for a server, before its session is ended. After 5 s, many client libraries
    /// give up and report a server that is slow, in place of one that is down.
    const UPSTREAM_WAIT: Duration = Duration::from_secs(4);

    /// Returns the route of a request that does not simply take the route of the previous one.
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
        if let Some(identity) = special.change.identity() {
            self.identity = identity;
        }
        if special.claim.authenticates && self.awaits_upstream() {
            return Route::Wait;
        }
        match special.action.need() {
            // No link is opened for a client that will be refused when the decision is applied.
            Some(_) if special.claim.authenticates && !self.may_authenticate() => Route::Local,
            Some(need) => self.needing(need, spec, len),
            None => match &special.action {
                Action::AwaitReplies => Route::Wait,
                Action::AwaitLease(_) if self.wait_for_place(false) => Route::Local,
                Action::AwaitLease(_) => Route::Wait,
                Action::AwaitClients(described) => {
                    self.await_clients(described.clone());
                    Route::Wait
                }
                Action::AwaitFlush(flush) => {
                    self.await_flush(*flush);
                    Route::Wait
                }
                _ => Route::Local,
            },
        }
    }

    /// Has descriptions of clients collected. After a list of many its reply resumes the session.
    fn await_clients(&mut self, described: Described) {
        if !self.session.lists && self.session.listing == Listing::No {
            self.session.listing = Listing::Wanted;
            self.jobs.listings.push_back((self.id, described));
        }
    }

    /// Has keys deleted; the outcome resumes the session.
    fn await_flush(&mut self, flush: Flush) {
        if !self.session.flushing {
            self.session.flushing = true;
            self.jobs.flushes.push_back((self.id, flush));
        }
    }

    /// Returns whether a session that has sent the right password waits for a link, because the server may be
    /// unreachable. After [`Routing::UPSTREAM_WAIT`] the session ends. It opens no more than one link at a time.
    fn awaits_upstream(&mut self) -> bool {
        if !self.may_authenticate() || !self.links.is_in_doubt() {
            return false;
        }
        let key = self.key(Need::Shared);
        if self.links.shared(key).is_none()
            && self.links.reserve(Want::Shared)
            && let Some(link) = self.links.share(key, self.now)
        {
            self.links.touch(link);
        }
        let since = *self.session.wants_link.get_or_insert(self.now);
        if self.now.saturating_duration_since(since) >= Self::UPSTREAM_WAIT {
            self.session.kill(CloseReason::UpstreamUnavailable);
        }
        true
    }

    fn may_authenticate(&self) -> bool {
        self.session.permit.as_ref().is_none_or(Permit::may_authenticate)
            && self.bounds().has_room_for_session()
    }

    fn bounds(&self) -> &'_ IdentityBounds {
        &self.rulebook.of(self.identity).bounds
    }

    fn needing(&mut self, need: Need, spec: Option<&Spec>, len: Option<usize>) -> Route {
        if self.session.state.is_leased() {
            return match self.session.link {
                Some(own) => Route::Link(own),
                None => self.lend(Want::Own, need),
            };
        }
        let has_pending = self.session.pending.remote() > 0;
        let is_better_leased =
            need == Need::Shared && !has_pending && self.is_better_leased(spec, len);
        let need = if is_better_leased { Need::Lease } else { need };
        match need {
            Need::Lease | Need::NotedLease | Need::Moved(_) if has_pending => Route::Wait,
            Need::Lease | Need::NotedLease if self.can_have_lease(need, Want::Lease) => {
                match self.lend(Want::Lease, need) {
                    // Another worker has taken the last one meanwhile.
                    Route::Refused if is_better_leased => self.shared(Need::Shared, has_pending),
                    route => route,
                }
            }
            Need::Lease | Need::NotedLease => Route::Wait,
            Need::Shared | Need::Fenced | Need::Script | Need::Moved(_) => {
                self.shared(need, has_pending)
            }
        }
    }

    /// Returns the route of a request that needs no lease. A session changes its link only when no reply is
    /// pending on it, and waits for room on a shared link. `has_pending` is true if replies are pending, so that it
    /// cannot change its link now.
    fn shared(&mut self, need: Need, has_pending: bool) -> Route {
        let key = self.key(need);
        let target = match self.session.link {
            Some(left) if has_pending && self.serves_last_session(left, key) => Some(left),
            // The session's next reply resumes it.
            _ if self.session.pending.remote() >= Self::MOST_SHARED => return Route::Wait,
            _ if self.gets_own_link() => {
                if has_pending || !self.can_have_lease(need, Want::SlowLease) {
                    return Route::Wait;
                }
                return match self.lend(Want::SlowLease, need) {
                    Route::Refused => self.share(key),
                    lent => lent,
                };
            }
            // The client has much to read, and there is no link to spare on which more replies could come
            // without delay for others: the client must read first.
            _ if self.session.has_much_unread(self.limits) => return Route::Wait,
            Some(link) if self.links.serves(link, key, has_pending) => Some(link),
            _ if has_pending => return Route::Wait,
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
        let bounds = &self.rulebook.of(self.identity).bounds;
        match self.links.lend(self.id, wanted, (want, bounds), self.now) {
            Some(link) => Route::Lease(link, Noted(need == Need::NotedLease)),
            None => Route::Refused,
        }
    }

    /// Returns whether a request that any link can carry is sent over a lease all the same. That is so only
    /// while there is a lease that will be kept afterwards, so that the request need not wait.
    fn is_better_leased(&self, spec: Option<&Spec>, len: Option<usize>) -> bool {
        len.is_some_and(|len| len >= Self::LARGE)
            && spec.is_some_and(|spec| spec.effect == Effect::None)
            && self.links.has_lease_to_spare()
            && self.bounds().has_room_for_lease()
    }

    /// Returns whether the session gets a lease because its client reads slowly.
    fn gets_own_link(&self) -> bool {
        self.session.needs_own_link(self.limits, self.now)
            && self.links.has_room_for_slow()
            && self.bounds().has_room_for_lease()
    }

    /// Returns whether `link` is retired and the session, whose client reads slowly, may continue there: the
    /// client may read nothing before it has sent everything.
    fn serves_last_session(&self, link: LinkId, key: LinkKey) -> bool {
        self.session.needs_own_link(self.limits, self.now)
            && self.links.serves_last_session(link, key)
    }

    /// Adds the session to those that are resumed when the shared link has room.
    fn wait_for(&mut self, link: LinkId) {
        if !self.session.waits_for_room
            && let Some(shared) = self.links.get_mut(link).and_then(Held::shared_mut)
        {
            shared.wait(self.id);
            self.session.waits_for_room = true;
        }
    }

    /// Returns whether a lease can be lent now, or the request must be refused.
    fn can_have_lease(&mut self, need: Need, want: Want) -> bool {
        // At the limit of its identity the session is refused at once, as where no link is left.
        let can =
            !self.bounds().has_room_for_lease() || self.links.can_lend(self.lease_key(need), want);
        self.wait_for_place(can)
    }

    /// Returns whether a shared link can be opened now, or the request must be refused.
    fn can_share(&mut self) -> bool {
        let can = self.links.reserve(Want::Shared);
        self.wait_for_place(can)
    }

    /// Returns true when there is a place, or the session has waited long enough for a place. Until then the
    /// session is resumed at each tick. A session that has not authenticated does not wait.
    fn wait_for_place(&mut self, can: bool) -> bool {
        if can || !self.session.state.is_authenticated() {
            self.session.wants_link = None;
            return true;
        }
        let since = *self.session.wants_link.get_or_insert(self.now);
        self.now.saturating_duration_since(since) >= Self::PLACE_WAIT
    }

    /// Returns the key of the shared link for a request.
    ///
    /// A session in a database that its identity may not use gets a link in database 0, since no link can select
    /// the other. Nothing is sent over it that needs a database.
    #[inline]
    fn key(&self, need: Need) -> LinkKey {
        let lane = match need {
            Need::Script => Lane::Scripts,
            Need::Fenced => Lane::Fenced,
            _ => Lane::Plain,
        };
        let mut key = LinkKey { identity: self.identity, ..LinkKey::of(&self.session.state, lane) };
        if !self.rulebook.of(self.identity).rights.may_use(key.database) {
            key.database = 0;
        }
        match need {
            Need::Moved(protocol) => LinkKey { protocol, ..key },
            _ => key,
        }
    }

    /// Returns the key of the lease for a request.
    fn lease_key(&self, need: Need) -> LinkKey {
        LinkKey { lane: Lane::Lease, ..self.key(need) }
    }
}
