//! Rates: the commands of one session per second, and the commands and bytes of all sessions of its identity.

use super::Pipeline;
use crate::router::limits::pause::Pause;
use crate::session::{Pace, Rules};

impl Pipeline<'_> {
    /// Returns whether a rate bounds sessions under `rules`.
    #[inline]
    pub(in crate::router) fn is_paced(rules: &Rules) -> bool {
        rules.limits.rate.is_some() || rules.bounds.limits.has_rates()
    }

    /// Takes the rules of the identity that the session now is.
    #[inline]
    pub(super) fn find_rules(&mut self) {
        self.rules = self.rulebook.of(self.session.state.identity());
        self.is_paced = Self::is_paced(self.rules);
    }

    /// Returns whether the session may send one more request. `rest` is the length of the input that is left.
    #[cold]
    pub(super) fn has_tokens(&mut self, rest: usize) -> bool {
        let rate = self.rules.limits.rate;
        if rate.is_some_and(|rate| self.session.bucket.is_empty(rate, self.now)) {
            return false;
        }
        let bounds = &self.rules.bounds;
        if !bounds.limits.has_rates() {
            return true;
        }
        let used = std::mem::replace(&mut self.uncounted, rest).saturating_sub(rest);
        self.session.pace.take_if(|pace| !pace.is_of(&bounds.usage));
        let new = || Box::new(Pace::new(&bounds.usage));
        let pace = self.session.pace.get_or_insert_with(new);
        pace.use_bytes(used);
        pace.may_take(&bounds.limits, self.now)
    }

    /// Counts a request in the rates.
    #[cold]
    pub(super) fn count_in_rates(&mut self) {
        if let Some(rate) = self.rules.limits.rate {
            self.session.bucket.take(rate, self.now);
        }
        if let Some(pace) = &mut self.session.pace {
            pace.use_command();
        }
    }

    /// Counts the bytes that the turn has taken, of which `rest` are left, and puts back tokens that the session
    /// does not wait for.
    #[cold]
    pub(super) fn end_paced_turn(&mut self, rest: usize) {
        if let Some(pace) = &mut self.session.pace {
            pace.use_bytes(self.uncounted.saturating_sub(rest));
            if self.session.pause != Some(Pause::Rate) {
                pace.settle(&self.rules.bounds.limits, self.now);
            }
        }
        self.uncounted = rest;
    }
}
