//! The effects of a right password, of a wrong password and of `RESET`, besides the reply.

use super::Pipeline;
use crate::auth::{Authenticated, LoginMethod, Throttle, Verdict};
use crate::resp::reply;
use crate::session::{Action, Claim, CloseReason, Event};

impl Pipeline<'_> {
    /// Applies the result of a login that the request contains. Returns the action for the request, which is
    /// `action` unless the login changes it.
    #[inline]
    pub(super) fn log_in(&mut self, claim: Claim, mut action: Action) -> Action {
        if claim.authenticates
            && let Some(user) = self.session.state.user().cloned()
        {
            self.report(Event::Authenticated { user, method: LoginMethod::Password });
        }
        if let Some(user) = claim.failed {
            self.report(Event::AuthFailed { user });
            if claim.authenticates {
                action = self.authenticated(action);
            }
            return self.slow_down(action);
        }
        if claim.authenticates { self.authenticated(action) } else { action }
    }

    /// Makes the session that of the client whose certificate the handshake has verified. If its identity has too
    /// many sessions, the client gets the same error as after an `AUTH`.
    pub(in crate::router) fn log_in_by_certificate(&mut self, who: Authenticated) {
        let user = who.user.clone();
        self.session.state.certify(who);
        self.find_rules();
        self.report(Event::Authenticated { user, method: LoginMethod::Certificate });
        let action = self.enter_identity(Action::Silence);
        if let Action::Finish { reply, reason } = self.authenticated(action) {
            if let Some(reply) = reply {
                self.session.reply(reply);
            }
            self.session.end(reason);
        }
    }

    /// Counts the session as one of the identity that it now is. Returns `action`, unless the identity has too many.
    pub(super) fn enter_identity(&mut self, action: Action) -> Action {
        if self.session.enter_identity(&self.rules.bounds) { action } else { too_many_sessions() }
    }

    /// Notes that the session has just authenticated. Returns `action`, unless the identity has too many sessions.
    fn authenticated(&mut self, action: Action) -> Action {
        self.session.auth_deadline = None;
        self.session.bytes_in_unauthenticated = 0;
        let now = self.now;
        if self.session.permit.as_mut().is_none_or(|permit| permit.authenticated(now)) {
            return action;
        }
        too_many_sessions()
    }

    /// Delays or ends the session after a wrong password. A session that has authenticated before is not ended,
    /// and waits instead.
    fn slow_down(&mut self, action: Action) -> Action {
        let now = self.now;
        let verdict =
            self.session.permit.as_mut().map_or(Verdict::Answer, |permit| permit.failed(now));
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

    /// Carries out `RESET`: closes the session's lease, whose state it would change, and logs the session out, unless
    /// its certificate has logged it in.
    pub(super) fn reset(&mut self, shown: bool) {
        let is_leased = self.session.state.is_leased();
        if let Some(link) = self.session.link.take().filter(|_| is_leased) {
            self.links.close(link);
        }
        if self.session.state.is_authenticated() && !self.session.state.is_certified() {
            self.session.leave_identity();
            self.session.auth_deadline = self.now.checked_add(self.auth_timeout);
            if let Some(permit) = &mut self.session.permit {
                permit.reset();
            }
        }
        if self.session.state.knows_id() {
            self.rules.client_ids.forget(self.session.state.client_id());
        }
        self.session.state.reset();
        self.find_rules();
        self.session.free_at_reset();
        if shown {
            self.session.reply(reply::RESET.clone());
        }
    }
}

/// Ends the session with the error that Redis sends when it has too many clients.
fn too_many_sessions() -> Action {
    let reply = Some(reply::MAX_CLIENTS.clone());
    Action::Finish { reply, reason: CloseReason::IdentityLimit }
}
