//! The commands that the policy has refused to a worker's sessions, grouped, for `/refused`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::session::{Program, Refusal};

use super::SessionRecord;
use crate::status::Refused;

/// Groups that are kept. For one more, that which was refused nothing for the longest time is forgotten: clients
/// choose names, so there may be any number.
const GROUPS: usize = 200;

/// Refusals are counted by periods of this length.
const PERIOD: Duration = Refused::PERIOD;

/// What refusals of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// `None` before a successful `AUTH`.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) program: Program,
    pub(crate) refusal: Refusal,
}

/// The refusals of one group.
#[derive(Debug, Clone)]
pub(crate) struct Refusals {
    pub(crate) count: u64,
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    /// The session of the last one, and the address of its client.
    pub(crate) session: u64,
    pub(crate) peer: String,
    /// How many there were in each period, the oldest first: when it began, and the number.
    periods: VecDeque<(Instant, u64)>,
}

/// The refusals of a worker, by group.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedCommands {
    pub(crate) groups: HashMap<Group, Refusals>,
    /// Refusals of groups that are no longer kept.
    pub(crate) forgotten: u64,
}

impl RefusedCommands {
    /// Counts a refusal to the session of `record` at `now`.
    pub(super) fn add(&mut self, group: Group, record: &SessionRecord, now: Instant) {
        if !self.groups.contains_key(&group) {
            self.make_room();
        }
        let refusals = self.groups.entry(group).or_insert_with(|| Refusals {
            count: 0,
            first: now,
            last: now,
            session: record.number,
            peer: String::new(),
            periods: VecDeque::new(),
        });
        refusals.count = refusals.count.saturating_add(1);
        refusals.last = now;
        if refusals.session != record.number || refusals.peer.is_empty() {
            refusals.session = record.number;
            refusals.peer = record.peer.to_string();
        }
        match refusals.periods.back_mut() {
            Some((start, count)) if now.saturating_duration_since(*start) < PERIOD => {
                *count = count.saturating_add(1);
            }
            _ => refusals.periods.push_back((now, 1)),
        }
        while refusals.periods.front().is_some_and(|(start, _)| is_over(*start, now)) {
            refusals.periods.pop_front();
        }
    }

    fn make_room(&mut self) {
        while self.groups.len() >= GROUPS {
            let oldest = self.groups.iter().min_by_key(|(_, refusals)| refusals.last);
            let Some(oldest) = oldest.map(|(group, _)| group.clone()) else { return };
            let forgotten = self.groups.remove(&oldest).map_or(0, |refusals| refusals.count);
            self.forgotten = self.forgotten.saturating_add(forgotten);
        }
    }

    /// Adds those of another worker.
    pub(crate) fn merge(&mut self, other: Self) {
        self.forgotten = self.forgotten.saturating_add(other.forgotten);
        for (group, more) in other.groups {
            match self.groups.get_mut(&group) {
                Some(refusals) => refusals.merge(more),
                None => drop(self.groups.insert(group, more)),
            }
        }
    }
}

impl Refusals {
    /// Returns how many there were in periods that `since` reaches into, or in all if it is `None`.
    pub(crate) fn count_since(&self, since: Option<Duration>, now: Instant) -> u64 {
        let Some(since) = since else { return self.count };
        if now.saturating_duration_since(self.last) > since {
            return 0;
        }
        let reaches =
            |start: Instant| now.saturating_duration_since(start) <= since.saturating_add(PERIOD);
        let counts = self.periods.iter().filter(|(start, _)| reaches(*start));
        counts.fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        if other.last > self.last {
            (self.last, self.session, self.peer) = (other.last, other.session, other.peer);
        }
        self.periods.extend(other.periods);
    }
}

fn is_over(start: Instant, now: Instant) -> bool {
    now.saturating_duration_since(start) > Refused::LONGEST
}

#[cfg(test)]
mod tests {
    use redoubt_core::policy::RuleName;

    use super::*;
    use crate::net::peer::Peer;

    fn group(name: &str) -> Group {
        let program = Program { name: Some(name.to_owned()), library: None };
        let rule = RuleName::Known("flushall");
        let refusal = Refusal { command: rule.clone(), rule, opened_by: Some("policy.blocked") };
        Group { user: Some("default".into()), program, refusal }
    }

    fn record(number: u64) -> SessionRecord {
        let peer = Peer::Tcp("192.0.2.7:51000".parse().unwrap());
        SessionRecord::new(number, peer, "tcp", None)
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn refusals_are_counted_by_group_and_period() {
        let (start, minutes) = (Instant::now(), |number| Duration::from_secs(60 * number));
        let mut refused = RefusedCommands::default();
        for minute in [0, 1, 59, 60] {
            refused.add(group("a"), &record(minute), start + minutes(minute));
        }
        refused.add(group("b"), &record(7), start + minutes(2));
        let now = start + minutes(61);
        let since = |name: &str, since| refused.groups[&group(name)].count_since(since, now);
        assert_eq!((since("a", None), since("b", None)), (4, 1));
        assert_eq!((since("a", Some(minutes(10))), since("b", Some(minutes(10)))), (2, 0));
        assert_eq!(since("a", Some(minutes(120))), 4);
        let last = &refused.groups[&group("a")];
        assert_eq!((last.session, &*last.peer), (60, "192.0.2.7:51000"));
        assert_eq!((last.first, last.last), (start, start + minutes(60)));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn the_group_that_was_quiet_for_longest_is_forgotten() {
        let start = Instant::now();
        let mut refused = RefusedCommands::default();
        let at = |number: usize| start + Duration::from_secs(number as u64);
        (0..GROUPS).for_each(|n| refused.add(group(&n.to_string()), &record(1), at(n)));
        refused.add(group("0"), &record(1), at(GROUPS));
        refused.add(group("new"), &record(1), at(GROUPS + 1));
        assert_eq!((refused.groups.len(), refused.forgotten), (GROUPS, 1));
        assert!(refused.groups.contains_key(&group("0")));
        assert!(!refused.groups.contains_key(&group("1")));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn a_day_of_periods_is_kept() {
        const PERIODS: u32 = 288;
        assert_eq!(PERIOD * PERIODS, Refused::LONGEST);
        let start = Instant::now();
        let mut refused = RefusedCommands::default();
        for period in 0..2 * PERIODS {
            refused.add(group("a"), &record(1), start + PERIOD * period);
        }
        let refusals = &refused.groups[&group("a")];
        assert_eq!(refusals.periods.len(), PERIODS as usize + 1);
        assert_eq!(refusals.count, 2 * u64::from(PERIODS));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn workers_counts_are_added() {
        let start = Instant::now();
        let (mut one, mut other) = (RefusedCommands::default(), RefusedCommands::default());
        one.add(group("a"), &record(1), start);
        other.add(group("a"), &record(2), start + Duration::from_secs(1));
        other.add(group("b"), &record(3), start);
        one.merge(other);
        let a = &one.groups[&group("a")];
        assert_eq!((a.count, a.session, a.count_since(Some(PERIOD), a.last)), (2, 2, 2));
        assert_eq!(one.groups[&group("b")].count, 1);
    }
}
