//! The profiles of all identities, and what dry runs have found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use redoubt_core::auth::IdentityId;
use redoubt_core::observe::{Combination, Part, Profile, Recorded, Sample, Tried};

use crate::telemetry::metrics;

/// An identity, as far as observing it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: IdentityId,
    pub(crate) name: String,
    /// The words of its `acl`; `None` for `[client]`.
    pub(crate) rule: Option<Arc<[String]>>,
    /// True if its mode is "observe".
    pub(crate) observes: bool,
}

impl Known {
    /// Returns whether what Redis refuses it must be kept out of its profile.
    fn is_enforced(&self) -> bool {
        self.rule.is_some() && !self.observes
    }
}

/// Everything that is known of what identities do.
#[derive(Default)]
pub(crate) struct Store {
    known: Vec<Known>,
    pub(super) profiles: BTreeMap<String, Profile>,
    pub(super) observed: BTreeMap<String, Observations>,
    /// True if something has changed since the state file was written.
    pub(super) is_new: bool,
}

/// What dry runs have found for one identity.
#[derive(Default)]
pub(crate) struct Observations {
    /// What is known of combinations.
    verdicts: HashMap<Arc<Combination>, Verdict>,
    /// What would be refused.
    pub(super) refusals: HashMap<(Arc<Combination>, Part), Counted>,
    pub(super) asked: u64,
    pub(super) not_asked: u64,
    pub(super) waiting: usize,
    pub(super) forgotten: u64,
    pub(super) problem: Option<String>,
}

#[derive(Default)]
struct Verdict {
    refused: Option<Part>,
    is_allowed: bool,
    /// Uses before it was known.
    count: u64,
}

/// How often something would be refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) last: u64,
    pub(super) partly: bool,
}

/// A refusal that is new, for the audit log.
pub(crate) struct Refusal {
    pub(crate) identity: String,
    pub(crate) combination: Arc<Combination>,
    pub(crate) part: Part,
}

impl Store {
    /// Most identities with a profile.
    pub(super) const MOST: usize = 1001;
    /// Most combinations of an identity whose verdicts are kept. With more, all are forgotten.
    const MOST_VERDICTS: usize = 4096;
    /// Most refusals of an identity that are listed.
    const MOST_REFUSALS: usize = 512;

    /// Takes the identities of the configuration. What dry runs have found for a rule that has changed is forgotten.
    pub(crate) fn set_known(&mut self, known: Vec<Known>) {
        for new in &known {
            let old = self.known.iter().find(|old| old.name == new.name);
            if old.is_some_and(|old| old.rule != new.rule || old.observes != new.observes) {
                self.observed.remove(&new.name);
            }
        }
        self.known = known;
    }

    /// Returns the identity called `name`.
    pub(crate) fn known(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name == name)
    }

    /// Returns the words of the `acl` of an identity.
    pub(crate) fn rule(&self, id: IdentityId) -> Option<Arc<[String]>> {
        self.known.iter().find(|known| known.id == id)?.rule.clone()
    }

    /// Adds what a worker has recorded, at `now`. Returns the requests that are to be tried.
    pub(crate) fn add(&mut self, recorded: Recorded, now: u64) -> Vec<Sample> {
        for (id, combination, count) in recorded.counts {
            let Some(known) = self.known.iter().find(|known| known.id == id) else { continue };
            if !self.profiles.contains_key(&known.name) && self.profiles.len() >= Self::MOST {
                continue;
            }
            if known.rule.is_some() {
                let own = self.observed.entry(known.name.clone()).or_default();
                own.count(known, &combination, count, now);
                let verdict = own.verdicts.get(&combination);
                if known.is_enforced() && verdict.is_none_or(|verdict| !verdict.is_allowed) {
                    // Only what Redis allows is part of the profile.
                    continue;
                }
            }
            self.is_new = true;
            let profile = self.profiles.entry(known.name.clone());
            profile.or_insert_with(|| Profile::new(now)).add(&combination, count, now);
        }
        for profile in self.profiles.values_mut().filter(|_| recorded.not_counted > 0) {
            // Which identity they were of is not known.
            profile.not_counted = profile.not_counted.saturating_add(recorded.not_counted);
        }
        if recorded.not_sampled > 0 {
            for known in self.known.iter().filter(|known| known.rule.is_some()) {
                let own = self.observed.entry(known.name.clone()).or_default();
                own.not_asked = own.not_asked.saturating_add(recorded.not_sampled);
            }
        }
        let is_wanted = |sample: &Sample| {
            let known = self.known.iter().find(|known| known.id == sample.identity);
            known.filter(|known| known.rule.is_some()).is_some_and(|known| {
                let own = self.observed.get(&known.name);
                let verdict = own.and_then(|own| own.verdicts.get(&sample.combination));
                // One that is refused in any case need not be tried again.
                verdict.is_none_or(|verdict| verdict.refused != Some(Part::Commands))
            })
        };
        recorded.samples.into_iter().filter(is_wanted).collect()
    }

    /// Takes the outcome of a dry run at `now`. Returns the refusal if it is new.
    pub(crate) fn tried(&mut self, sample: &Sample, tried: &Tried, now: u64) -> Option<Refusal> {
        let known = self.known.iter().find(|known| known.id == sample.identity)?;
        let own = self.observed.entry(known.name.clone()).or_default();
        let part = match tried {
            Tried::Refused(part) => Some(*part),
            Tried::Allowed => None,
            Tried::NoUser | Tried::Unknown(_) => {
                own.not_asked = own.not_asked.saturating_add(1);
                return None;
            }
        };
        own.asked = own.asked.saturating_add(1);
        if own.verdicts.len() >= Self::MOST_VERDICTS {
            own.verdicts.clear();
        }
        let verdict = own.verdicts.entry(Arc::clone(&sample.combination)).or_default();
        match part {
            None => {
                verdict.is_allowed = true;
                if verdict.refused.is_none() {
                    let count = std::mem::take(&mut verdict.count);
                    if known.is_enforced() && count > 0 {
                        self.is_new = true;
                        let profile = self.profiles.entry(known.name.clone());
                        let profile = profile.or_insert_with(|| Profile::new(now));
                        profile.add(&sample.combination, count, now);
                    }
                }
                None
            }
            Some(part) => {
                let is_new = verdict.refused.is_none();
                verdict.refused = Some(part);
                let count = std::mem::take(&mut verdict.count).max(u64::from(is_new));
                let partly = verdict.is_allowed;
                if !known.observes {
                    return None;
                }
                own.refuse(&known.name, &sample.combination, part, count, now);
                let key = (Arc::clone(&sample.combination), part);
                if let Some(counted) = own.refusals.get_mut(&key) {
                    counted.partly |= partly;
                }
                is_new.then(|| Refusal {
                    identity: known.name.clone(),
                    combination: Arc::clone(&sample.combination),
                    part,
                })
            }
        }
    }

    /// Counts requests of `identity` that were not tried.
    pub(crate) fn not_tried(&mut self, identity: IdentityId, count: u64) {
        if let Some(known) = self.known.iter().find(|known| known.id == identity) {
            let own = self.observed.entry(known.name.clone()).or_default();
            own.not_asked = own.not_asked.saturating_add(count);
        }
    }

    /// Notes how many requests of each identity wait, and why nothing of it can be tried.
    pub(crate) fn set_waiting(
        &mut self,
        waiting: impl Fn(IdentityId) -> usize,
        problem: impl Fn(IdentityId) -> Option<String>,
    ) {
        for known in self.known.iter().filter(|known| known.rule.is_some()) {
            let own = self.observed.entry(known.name.clone()).or_default();
            (own.waiting, own.problem) = (waiting(known.id), problem(known.id));
        }
    }
}

impl Observations {
    /// Counts uses of a combination: with its refusal if that is known, else until it is.
    fn count(&mut self, known: &Known, combination: &Arc<Combination>, count: u64, now: u64) {
        if self.verdicts.len() >= Store::MOST_VERDICTS {
            self.verdicts.clear();
        }
        let verdict = self.verdicts.entry(Arc::clone(combination)).or_default();
        match verdict.refused {
            Some(part) if known.observes => {
                self.refuse(&known.name, combination, part, count, now);
            }
            Some(_) => {}
            None if !verdict.is_allowed => verdict.count = verdict.count.saturating_add(count),
            None => {}
        }
    }

    fn refuse(
        &mut self,
        identity: &str,
        combination: &Arc<Combination>,
        part: Part,
        count: u64,
        now: u64,
    ) {
        metrics::would_refuse(identity, &combination.command, count);
        let key = (Arc::clone(combination), part);
        if !self.refusals.contains_key(&key) && self.refusals.len() >= Store::MOST_REFUSALS {
            let oldest = self.refusals.iter().min_by_key(|(_, counted)| counted.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                let gone = self.refusals.remove(&oldest).map_or(0, |counted| counted.count);
                self.forgotten = self.forgotten.saturating_add(gone);
            }
        }
        let counted = self.refusals.entry(key).or_default();
        counted.count = counted.count.saturating_add(count);
        counted.last = now;
    }
}
