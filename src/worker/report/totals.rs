//! What a worker has counted since it started, for `/stats`.

use std::collections::HashMap;
use std::sync::Arc;

use redoubt_core::policy::RuleName;
use redoubt_core::session::Event;

/// Counts over sessions that have ended, and counts of what is rare. The commands and bytes of present
/// sessions are counted in the router.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) closed: u64,
    pub(crate) commands: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) authenticated: u64,
    pub(crate) auth_failed: u64,
    pub(crate) locked_out: u64,
    pub(crate) refused: u64,
    /// Refused commands by rule, for [`Totals::RULES`] rules at most.
    pub(crate) rules: HashMap<RuleName, u64>,
    /// Refused commands by the user of the session; there are no more than the configuration has given.
    pub(crate) refused_to: HashMap<Arc<str>, u64>,
}

impl Totals {
    /// Rules that are counted by name. A configuration has fewer; only many reloads can bring more.
    const RULES: usize = 1000;

    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::Authenticated { .. } => add(&mut self.authenticated, 1),
            Event::AuthFailed { .. } => add(&mut self.auth_failed, 1),
            Event::LockedOut { .. } => add(&mut self.locked_out, 1),
            Event::Refused { refused, .. } => {
                add(&mut self.refused, 1);
                self.refuse(&refused.refusal.rule, 1);
            }
            Event::Answered(_) => {}
            Event::Closed { commands, bytes_in, bytes_out, .. } => {
                add(&mut self.closed, 1);
                add(&mut self.commands, *commands);
                add(&mut self.bytes_in, *bytes_in);
                add(&mut self.bytes_out, *bytes_out);
            }
        }
    }

    /// Counts a refusal to the session of `user`.
    pub(super) fn count_refused_to(&mut self, user: &Arc<str>, count: u64) {
        match self.refused_to.get_mut(user) {
            Some(counted) => add(counted, count),
            None => drop(self.refused_to.insert(Arc::clone(user), count)),
        }
    }

    fn refuse(&mut self, rule: &RuleName, count: u64) {
        if let Some(counted) = self.rules.get_mut(rule) {
            add(counted, count);
        } else if self.rules.len() < Self::RULES {
            self.rules.insert(rule.clone(), count);
        }
    }

    /// Adds the counts of another worker.
    pub(crate) fn add(&mut self, other: &Self) {
        add(&mut self.closed, other.closed);
        add(&mut self.commands, other.commands);
        add(&mut self.bytes_in, other.bytes_in);
        add(&mut self.bytes_out, other.bytes_out);
        add(&mut self.authenticated, other.authenticated);
        add(&mut self.auth_failed, other.auth_failed);
        add(&mut self.locked_out, other.locked_out);
        add(&mut self.refused, other.refused);
        other.rules.iter().for_each(|(rule, count)| self.refuse(rule, *count));
        other.refused_to.iter().for_each(|(user, count)| self.count_refused_to(user, *count));
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
