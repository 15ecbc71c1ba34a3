//! What becomes of sessions and links when passwords change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Router, SessionId};
use crate::session::{CloseReason, Rules};
use crate::upstream::Credentials;

impl Router {
    /// Puts new rules in force for all requests from here on.
    ///
    /// Sessions whose credential they do not accept end at once, whatever is due to them, as the
    /// connections of a user do that is deleted in Redis.
    pub fn replace_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
        let identity = &self.rules.identity;
        let withdrawn: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.state.credential().is_some_and(|c| !identity.accepts(c)))
            .map(|(key, _)| SessionId(key))
            .collect();
        for id in withdrawn {
            self.abort(id, CloseReason::CredentialWithdrawn);
        }
    }

    /// Has new links take the place of those of now, as the server is, or may be, elsewhere. No session
    /// ends for it; one that has a link of its own keeps that until it is given back.
    pub fn replace_links(&mut self, now: Instant) {
        let waiting = self.links.replace_all(now);
        self.go_on(waiting, now);
    }

    /// Has links be replaced when they are this old; zero for never.
    pub fn set_max_link_age(&mut self, max_age: Duration) {
        self.links.set_max_age(max_age);
    }

    /// Has all links log in with `credentials`, between commands. No session ends for it.
    ///
    /// Shared links take no more requests, and new ones are opened in their place; clean leases are
    /// closed; a lease in use is logged in anew before its session's next request, as soon as that
    /// can be done, or closed when it is given back.
    pub fn rotate_credentials(&mut self, credentials: Credentials, now: Instant) {
        if self.links.log_in_with(&credentials) {
            return;
        }
        let waiting = self.links.rotate(credentials);
        for session in self.sessions.values_mut() {
            session.stale_login = session.state.is_leased() && session.link.is_some();
        }
        self.go_on(waiting, now);
    }
}
