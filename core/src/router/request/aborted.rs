//! A transaction that fails, since Redis had no time for a link when it began.

use super::Taker;
use crate::resp::encode_command;
use crate::router::LinkId;
use crate::session::{Counted, Expect, Learn, Show};

impl Taker<'_> {
    /// Has `link`, which the session has just been lent, be in the transaction that its client has
    /// begun, if that has been answered without Redis: one that fails at `EXEC`.
    pub(super) fn abort_transaction(&mut self, link: LinkId) {
        if !self.session.state.take_aborted_transaction() {
            return;
        }
        let Some(requests) = self.links.requests(link, self.id) else { return };
        encode_command([&b"MULTI"[..]], requests);
        requests.extend_from_slice(&self.rules.stand_in.no_such_command());
        for learn in [Learn::Multi, Learn::Nothing] {
            self.session.due.push_remote(Expect { show: Show::Nothing, learn }, Counted::NOT);
        }
        self.links.settle();
    }
}
