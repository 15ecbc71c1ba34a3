//! Links when the credentials that they log in with change.

use std::collections::VecDeque;

use secrecy::ExposeSecret;

use super::Links;
use crate::resp::encode_command;
use crate::router::{LinkId, SessionId};
use crate::session::{Counted, Expect, Learn, PendingReplies, Show};
use crate::upstream::Credentials;

impl Links {
    /// Returns whether new links log in with these credentials already.
    pub(in crate::router) fn log_in_with(&self, credentials: &Credentials) -> bool {
        self.credentials.are(credentials)
    }

    /// Takes new credentials, and retires the links that no session has for its own. Returns the
    /// sessions that waited for room on one of them.
    pub(in crate::router) fn rotate(&mut self, credentials: Credentials) -> VecDeque<SessionId> {
        self.replace_credentials(credentials);
        self.let_go()
    }

    /// Logs a lease in anew, with the credentials of now. Its reply is awaited in `due`; an error
    /// closes the link.
    pub(in crate::router) fn log_in_again(
        &mut self,
        id: LinkId,
        owner: SessionId,
        due: &mut PendingReplies,
    ) {
        let Credentials { user, password } = self.credentials.clone();
        let (Some(password), Some(requests)) = (password, self.requests(id, owner)) else {
            return;
        };
        let mut words = vec!["AUTH"];
        words.extend(user.as_deref());
        words.push(password.expose_secret());
        encode_command(words.into_iter().map(str::as_bytes), requests);
        due.push_remote(id, Expect { show: Show::Nothing, learn: Learn::Required }, Counted::NOT);
        self.settle();
    }
}
