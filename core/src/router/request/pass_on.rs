//! The short way of requests that nothing is special about.

use super::Taker;
use crate::command::Spec;
use crate::router::session::Asked;
use crate::session::{Expect, Need};

impl Taker<'_> {
    /// Passes a whole request of `len` bytes on over its session's own link, or the shared one that
    /// it has used last, if nothing about any of the three is special. Returns whether it has: then
    /// it is as if it had been decided and carried out.
    #[inline]
    pub(super) fn pass_on(&mut self, input: &[u8], spec: &'static Spec, len: usize) -> bool {
        let Some(link) = self.session.link else { return false };
        if self.session.stale_login || !self.session.state.passes(spec, self.rules) {
            return false;
        }
        let requests = if self.session.state.is_leased() {
            self.links.requests(link, self.id)
        } else if len < Self::LARGE && !self.session.is_weighty(&self.rules.limits, self.now) {
            let purpose = self.purpose(Need::Shared);
            self.links.requests_of(self.id, link, purpose)
        } else {
            None
        };
        let Some(requests) = requests else { return false };
        self.session.parser.request(input).write_to(requests);
        self.asked = Asked::of(Some(spec));
        self.count();
        self.owe(link, Expect::PLAIN);
        self.links.settle();
        true
    }
}
