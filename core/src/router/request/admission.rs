//! What comes of a right password, of a wrong one and of `RESET`, besides the answer.

use super::Taker;
use crate::auth::{Throttle, Verdict};
use crate::resp::reply;
use crate::session::{CloseReason, Event, Step};

impl Taker<'_> {
    /// The session has just proved who it is. `step` is what would be done otherwise.
    pub(super) fn let_in(&mut self, step: Step) -> Step {
        self.session.auth_deadline = None;
        self.session.bytes_in_unauthenticated = 0;
        let now = self.now;
        if self.session.pass.as_mut().is_none_or(|pass| pass.authenticated(now)) {
            return step;
        }
        let reply = Some(reply::MAX_CLIENTS.clone());
        Step::Finish { reply, reason: CloseReason::IdentityLimit }
    }

    /// The session has just failed to prove who it is. One that has proved it before is not ended
    /// for that, and waits instead.
    pub(super) fn slow_down(&mut self, step: Step) -> Step {
        let now = self.now;
        let verdict = self.session.pass.as_mut().map_or(Verdict::Answer, |pass| pass.failed(now));
        if let Verdict::LockOut(lasts) = verdict {
            self.events.push_back((self.id, Event::LockedOut { lasts }));
        }
        let delay = match verdict {
            Verdict::Answer => return step,
            Verdict::Delay(delay) => delay,
            Verdict::LockOut(_) | Verdict::LockedOut | Verdict::Crowded
                if self.session.state.is_authenticated() =>
            {
                Throttle::LONGEST_DELAY
            }
            Verdict::LockOut(_) | Verdict::LockedOut | Verdict::Crowded => {
                return Step::Finish { reply: None, reason: CloseReason::LockedOut };
            }
        };
        self.session.held_until = now.checked_add(delay);
        step
    }

    /// `RESET`: the link, whose state it would change, is let go; the client must log in again.
    pub(super) fn reset(&mut self, shown: bool) {
        let leased = self.session.state.is_leased();
        if let Some(link) = self.session.link.take().filter(|_| leased) {
            self.links.close(link);
        }
        if self.session.state.is_authenticated() {
            self.session.auth_deadline = self.now.checked_add(self.auth_timeout);
            if let Some(pass) = &mut self.session.pass {
                pass.reset();
            }
        }
        self.rules.client_ids.change(self.session.state.client_id(), None);
        self.session.state.reset();
        self.session.begin_anew();
        if shown {
            self.session.reply(reply::RESET.clone());
        }
    }
}
