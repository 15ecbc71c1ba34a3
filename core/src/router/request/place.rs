//! Whether one more link can be opened for a request, and the wait for that.

use std::time::Duration;

use super::Taker;
use crate::router::links::Want;

/// How long a request waits for a link that cannot be opened now, before its session is ended.
const WAIT: Duration = Duration::from_secs(5);

impl Taker<'_> {
    /// Whether the session is to have a link of its own because much is sent to it.
    pub(super) fn goes_alone(&self) -> bool {
        self.session.is_weighty(&self.rules.limits, self.now) && self.links.has_room_for_slow()
    }

    /// Whether the client must read first: much waits for it, and there is no link to spare on which
    /// more could come without delay for others.
    pub(super) fn reads_first(&self) -> bool {
        self.session.is_heavy(&self.rules.limits)
    }

    /// Whether a lease can be lent now, or is to be refused.
    pub(super) fn can_have_lease(&mut self, want: Want) -> bool {
        let can = self.links.can_lend(&self.session.state, want);
        self.wait_for_place(can)
    }

    /// Whether a shared link can be opened now, or is to be refused.
    pub(super) fn can_share(&mut self) -> bool {
        let can = self.links.reserve(Want::Shared);
        self.wait_for_place(can)
    }

    /// Returns true when there is a place, or the session has waited long enough for one. Until then
    /// it looks again at each tick.
    fn wait_for_place(&mut self, can: bool) -> bool {
        if can {
            self.session.wants_link = None;
            return true;
        }
        let since = *self.session.wants_link.get_or_insert(self.now);
        self.now.saturating_duration_since(since) >= WAIT
    }
}
