//! Notifications that clients are to reconnect (`MOVING`), for those that have asked for maintenance notifications.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::session::Session;
use super::{Router, SessionId};
use crate::session::{Limits, moving};

/// A move of which clients are being notified.
pub(super) struct Moving {
    number: u64,
    /// When it happens: later notifications are of no use.
    until: Instant,
    /// The sessions that can not be notified yet.
    waiting: Vec<SessionId>,
}

impl Router {
    /// Notifies the clients that have asked for maintenance notifications that their connections end in `seconds`,
    /// so that they connect again before: each goes to the address that it has used, when half of the time has
    /// passed. Returns how many clients that concerns.
    ///
    /// `number` is the same for all workers, and greater than that of any earlier move: client libraries act once
    /// on a number.
    ///
    /// A notification comes between two replies. A session that waits for a blocking command, or that reads slowly,
    /// gets it at a later tick with the seconds that remain then, or not at all once less than a second remains.
    /// Sessions that ask after this call are not notified. Another call replaces this one.
    pub fn announce_move(&mut self, number: u64, seconds: u32, now: Instant) -> usize {
        let lasts = Duration::from_secs(seconds.into());
        let Some(until) = now.checked_add(lasts) else { return 0 };
        let waiting = self.sessions.select(|session| session.state.takes_maint_notifications());
        let concerned = waiting.len();
        self.moving = Some(Moving { number, until, waiting });
        self.send_moving(now);
        concerned
    }

    /// Notifies the sessions that can be notified now. Called at each tick.
    pub(super) fn send_moving(&mut self, now: Instant) {
        let Some(Moving { number, until, waiting }) = self.moving.take() else { return };
        let seconds = until.saturating_duration_since(now).as_secs();
        if seconds == 0 {
            return;
        }
        let push = moving(number, seconds);
        let later: Vec<_> = waiting.into_iter().filter(|id| !self.notify(*id, &push)).collect();
        if !later.is_empty() {
            self.moving = Some(Moving { number, until, waiting: later });
        }
    }

    /// Sends `push` to a session. Returns false if the session cannot take it yet.
    fn notify(&mut self, id: SessionId, push: &Bytes) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return true };
        if !session.state.takes_maint_notifications() {
            return true;
        }
        if !session.takes_push(&self.rules.strangers().limits) {
            return false;
        }
        session.reply(push.clone());
        let sent = &mut self.counters.maint_notifications;
        *sent = sent.saturating_add(1);
        self.sessions.touch(id);
        true
    }
}

impl Session {
    /// Returns whether a push of Redoubt's own can be put behind the pending replies: not behind a reply that may
    /// take for ever, nor while the client reads slowly.
    fn takes_push(&self, limits: &Limits) -> bool {
        !self.pending.blocks() && !self.has_much_unread(limits) && self.state.shows_replies()
    }
}
