//! The short way of requests that nothing is special about.

use super::Taker;
use crate::command::Spec;
use crate::exchange::links::Purpose;
use crate::exchange::session::Asked;
use crate::session::Expect;

impl Taker<'_> {
    /// Passes a whole request of `len` bytes on over its session's own link, or the shared one that
    /// it has used last, if nothing about any of the three is special. Returns whether it has: then
    /// it is as if it had been decided and carried out.
    #[inline]
    pub(super) fn pass_on(&mut self, input: &[u8], spec: &'static Spec, len: usize) -> bool {
        let limits = &self.rules.limits;
        let session = &mut *self.session;
        let Some(link) = session.link else { return false };
        if session.stale_login || !session.state.passes(spec, self.rules) {
            return false;
        }
        let requests = if session.state.is_leased() {
            self.links.requests(link)
        } else if len < Self::LARGE && !session.is_weighty(limits, self.now) {
            let (database, protocol) = (session.state.database(), session.state.protocol());
            let purpose = Purpose { database, protocol, scripts: false };
            self.links.requests_of(self.id, link, purpose)
        } else {
            None
        };
        let Some(requests) = requests else { return false };
        session.parser.request(input).write_to(requests);
        let asked = Asked::of(Some(spec));
        session.due.push_remote(Expect::PLAIN, asked.counted);
        session.commands = session.commands.saturating_add(1);
        if let Some(rate) = limits.rate {
            session.bucket.take(rate, self.now);
        }
        self.tally.begin(asked.class, self.id, link, session.due.asked(), self.now);
        self.links.settle();
        true
    }
}
