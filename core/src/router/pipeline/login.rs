//! What comes of a right password, of a wrong one and of `RESET`, besides the answer.

use super::Pipeline;
use crate::auth::{Throttle, Verdict};
use crate::resp::reply;
use crate::session::{Action, Claim, CloseReason, Event};

impl Pipeline<'_> {
    /// Does what follows of the claims in a request. `action` is what is done otherwise.
    #[inline]
    pub(super) fn log_in(&mut self, claim: Claim, mut action: Action) -> Action {
        if claim.authenticates
            && let Some(user) = self.session.state.user().cloned()
        {
            self.report(Event::Authenticated { user });
        }
        if let Some(user) = claim.failed {
            self.report(Event::AuthFailed { user });
            if claim.authenticates {
                action = self.let_in(action);
            }
            return self.slow_down(action);
        }
        if claim.authenticates { self.let_in(action) } else { action }
    }

    /// The session has just proved who it is. `action` is what would be done otherwise.
    fn let_in(&mut self, action: Action) -> Action {
        self.session.auth_deadline = None;
        self.session.bytes_in_unauthenticated = 0;
        let now = self.now;
        if self.session.permit.as_mut().is_none_or(|pass| pass.authenticated(now)) {
            return action;
        }
        let reply = Some(reply::MAX_CLIENTS.clone());
        Action::Finish { reply, reason: CloseReason::IdentityLimit }
    }

    /// The session has just failed to prove who it is. One that has proved it before is not ended
    /// for that, and waits instead.
    fn slow_down(&mut self, action: Action) -> Action {
        let now = self.now;
        let verdict = self.session.permit.as_mut().map_or(Verdict::Answer, |pass| pass.failed(now));
        if let Verdict::LockOut(lasts) = verdict {
            self.report(Event::LockedOut { lasts });
        }
        let delay = match verdict {
            Verdict::Answer => return action,
            Verdict::Delay(delay) => delay,
            Verdict::LockOut(_) | Verdict::LockedOut | Verdict::Crowded
                if self.session.state.is_authenticated() =>
            {
                Throttle::LONGEST_DELAY
            }
            Verdict::LockOut(_) | Verdict::LockedOut | Verdict::Crowded => {
                return Action::Finish { reply: None, reason: CloseReason::LockedOut };
            }
        };
        self.session.held_until = now.checked_add(delay);
        action
    }

    /// `RESET`: closes the session's own link, whose state it would change; the client must log in again.
    pub(super) fn reset(&mut self, shown: bool) {
        let leased = self.session.state.is_leased();
        if let Some(link) = self.session.link.take().filter(|_| leased) {
            self.links.close(link);
        }
        if self.session.state.is_authenticated() {
            self.session.auth_deadline = self.now.checked_add(self.auth_timeout);
            if let Some(pass) = &mut self.session.permit {
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
