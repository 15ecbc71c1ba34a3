//! Which link a request goes over, and whether it can go there now.

use super::Taker;
use crate::command::{Effect, Spec};
use crate::resp::reply;
use crate::router::LinkId;
use crate::router::links::{Lane, Purpose, Usage, Want};
use crate::router::session::Session;
use crate::session::{CloseReason, Need};

impl Taker<'_> {
    /// Bytes of a whole request from which on it costs less on a link of its own: there is nothing
    /// to gain from sending it together with others, and it holds none of them up.
    pub(super) const LARGE: usize = 64 << 10;

    /// Whether a request that any link can carry goes over a lease all the same. It does so only
    /// while there is one that will be kept afterwards, and nothing to be waited for.
    pub(super) fn is_better_leased(&self, spec: Option<&Spec>, len: Option<usize>) -> bool {
        len.is_some_and(|len| len >= Self::LARGE)
            && spec.is_some_and(|spec| spec.effect == Effect::None)
            && self.session.due.remote() == 0
            && self.links.has_lease_to_spare()
    }

    /// Whether a request can go where it needs to go now. A session changes its link only when
    /// nothing is due from the one it has, and waits for room on a shared one.
    pub(super) fn can_reach(&mut self, need: Need) -> bool {
        let Session { state, due, link, .. } = &*self.session;
        if state.is_leased() || !state.is_authenticated() {
            return true;
        }
        let moves = due.remote() > 0;
        if !matches!(need, Need::Shared | Need::Fenced | Need::Script) {
            return !moves && (need.is_shared() || self.can_have_lease(Want::Lease));
        }
        let purpose = self.purpose(need);
        let target = match *link {
            _ if self.session.is_weighty(&self.rules.limits, self.now)
                && let Some(left) = self.left_to(purpose) =>
            {
                Some(left)
            }
            _ if self.goes_alone() => return !moves && self.can_have_lease(Want::SlowLease),
            _ if self.reads_first() => return false,
            Some(link) if self.links.serves(link, purpose, moves) => Some(link),
            _ if moves => return false,
            _ => match self.links.shared(purpose) {
                None => return self.can_share(),
                shared => shared,
            },
        };
        match target.filter(|link| self.links.is_full(*link)) {
            Some(full) => {
                self.wait_for(full);
                false
            }
            None => true,
        }
    }

    /// The retired link on which replies are due to a session that much is sent to. It goes on
    /// there: it may read nothing before it has sent everything.
    fn left_to(&self, purpose: Purpose) -> Option<LinkId> {
        let Session { due, link, .. } = &*self.session;
        link.filter(|link| due.remote() > 0 && self.links.is_left_to(*link, purpose))
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

    /// The link that a request goes over. `None` when the session has been ended for want of one.
    pub(super) fn link(&mut self, need: Need) -> Option<LinkId> {
        let Session { state, due, link, .. } = &*self.session;
        let (leased, owed, current) = (state.is_leased(), due.remote() > 0, *link);
        if need.is_shared() && !leased {
            let purpose = self.purpose(need);
            if self.session.is_weighty(&self.rules.limits, self.now)
                && let Some(left) = self.left_to(purpose)
            {
                return Some(left);
            }
            if owed || !self.goes_alone() {
                let current = current.filter(|link| self.links.serves(*link, purpose, owed));
                if current.is_none() && self.is_stuck() {
                    return None;
                }
                return self.shared(current, purpose);
            }
        }
        if let Some(own) = current.filter(|_| leased) {
            return Some(own);
        }
        if self.is_stuck() {
            return None;
        }
        let want = match need.is_shared() {
            _ if leased => Want::Own,
            true => Want::SlowLease,
            false => Want::Lease,
        };
        let Session { state, link, due, .. } = &mut *self.session;
        *link = self.links.lend(self.id, state, due, need == Need::NotedLease, want, self.now);
        let lent = *link;
        match lent {
            Some(id) => {
                state.lease();
                self.abort_transaction(id);
            }
            None if want == Want::SlowLease => return self.shared(None, self.purpose(need)),
            None => self.refuse_link(),
        }
        lent
    }

    /// `current`, or else the shared link of this purpose. `None` when the session has been ended, as
    /// no more links can be opened.
    fn shared(&mut self, current: Option<LinkId>, purpose: Purpose) -> Option<LinkId> {
        self.session.link = current.or_else(|| self.links.share(purpose, self.now));
        if self.session.link.is_none() {
            self.refuse_link();
        }
        self.session.link
    }

    /// Ends the session as Redis would that has no room for one more client.
    fn refuse_link(&mut self) {
        self.session.reply(reply::MAX_CLIENTS.clone());
        self.session.end(CloseReason::NoLease);
    }

    /// Logs the session's own link in with the credentials of now, if that can be done before the
    /// request that is to be decided.
    pub(super) fn log_in_again(&mut self) {
        let Session { state, due, link, stale_login, .. } = &mut *self.session;
        match *link {
            Some(own) if state.is_leased() => {
                if state.can_log_in_again(due) {
                    self.links.log_in_again(own, self.id, due);
                    *stale_login = false;
                }
            }
            _ => *stale_login = false,
        }
    }

    /// Whether replies are due from a link that the session would have to leave. What was decided
    /// rules that out; if it happens all the same, the session ends, and no reply can be mistaken.
    fn is_stuck(&mut self) -> bool {
        let stuck = self.session.due.remote() > 0;
        if stuck {
            self.session.kill(CloseReason::Internal);
        }
        stuck
    }

    #[inline]
    pub(super) fn purpose(&self, need: Need) -> Purpose {
        let state = &self.session.state;
        let (database, protocol) = (state.database(), state.protocol());
        let lane = match need {
            Need::Script => Lane::Scripts,
            Need::Fenced => Lane::Fenced,
            _ => Lane::Plain,
        };
        Purpose { database, protocol, lane }
    }
}
