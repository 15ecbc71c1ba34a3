//! Carrying decisions out: replies, requests on links, and ends.

use super::{Next, Taker};
use crate::resp::ProtocolError;
use crate::router::LinkId;
use crate::router::links::Usage;
use crate::session::{CloseReason, Expect, Outcome, Step};

impl Taker<'_> {
    /// Carries a decision out. `input` begins with the request; without it, a large request has
    /// passed already.
    pub(super) fn carry_out(&mut self, step: Step, input: Option<&[u8]>) {
        self.count();
        match step {
            Step::Forward { expect, need } => {
                let link = self.link(need);
                if let Some(input) = input
                    && let Some(requests) = link.and_then(|link| self.links.requests(link, self.id))
                {
                    self.session.parser.request(input).write_to(requests);
                }
                return self.expect(link, expect);
            }
            Step::Substitute { request, expect, need } => {
                let link = self.link(need);
                if let Some(requests) = link.and_then(|link| self.links.requests(link, self.id)) {
                    requests.extend_from_slice(&request);
                }
                return self.expect(link, expect);
            }
            Step::Reply(reply) => self.session.reply(reply),
            Step::Silence | Step::Wait => {}
            Step::Finish { reply, reason } => {
                if let Some(reply) = reply {
                    self.session.reply(reply);
                }
                self.session.end(reason);
            }
            Step::Reset { shown } => self.reset(shown),
        }
        self.tally.commands.add(self.asked.counted, Outcome::Local);
    }

    /// A request has been taken.
    #[inline]
    pub(super) fn count(&mut self) {
        self.session.commands = self.session.commands.saturating_add(1);
        if let Some(rate) = self.rules.limits.rate {
            self.session.bucket.take(rate, self.now);
        }
    }

    /// The session is owed a reply from `link`.
    #[inline]
    pub(super) fn owe(&mut self, link: LinkId, expect: Expect) {
        self.session.due.push_remote(expect, self.asked.counted);
        let target = self.session.due.asked();
        self.tally.begin(self.asked.class, self.id, link, target, self.now);
    }

    /// A request is on its way over `link`, if there is one. While the link carries a stream, nothing
    /// on it can be told to be a reply.
    fn expect(&mut self, link: Option<LinkId>, expect: Expect) {
        match link {
            Some(link) if !self.session.state.is_opaque() => {
                self.owe(link, expect);
                let usage = self.links.get_mut(link).map(|held| &mut held.usage);
                if let Some(Usage::Shared(shared)) = usage {
                    shared.expect(self.id);
                }
            }
            _ => self.tally.commands.add(self.asked.counted, Outcome::Unanswered),
        }
        self.links.settle();
    }

    /// A request is over its limit: like Redis, closes without a word. What of it has been passed on
    /// goes with the lease that it went over.
    pub(super) fn too_large(&mut self, len: usize) -> Next {
        self.session.kill(CloseReason::TooLarge);
        Next::After(len)
    }

    /// Says what was wrong, after all that is due, and takes nothing more.
    pub(super) fn protocol_error(&mut self, error: &ProtocolError, len: usize) -> Next {
        if self.session.state.shows_replies() {
            self.session.reply(error.reply());
        }
        self.session.end(CloseReason::Protocol);
        Next::After(len)
    }
}
