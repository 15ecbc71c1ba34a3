//! What a check found.

use std::io;

/// Characters of a reply that are shown at most.
const MAX_TOLD: usize = 80;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should be.
    Holds,
    /// Not as it should be.
    Fails,
    /// Unwise; it does not fail the whole.
    Warns,
    /// Not made.
    NotChecked,
}

/// A check that was made, or left out.
#[derive(Debug)]
pub(super) struct Check {
    /// Stable, for programs.
    pub(super) id: String,
    pub(super) outcome: Outcome,
    /// What was looked at.
    pub(super) what: String,
    /// What was found; never a password.
    pub(super) found: String,
}

impl Check {
    /// One that was made.
    pub(super) fn new(
        id: impl Into<String>,
        holds: bool,
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
        Self::with(id, outcome, what, found)
    }

    /// One of a reply, which must be as `right` says.
    pub(super) fn replied(
        id: &str,
        what: &str,
        reply: &io::Result<String>,
        right: impl Fn(&str) -> bool,
    ) -> Self {
        Self::new(id, reply.as_ref().is_ok_and(|reply| right(reply)), what, told(reply))
    }

    /// One that ended with `outcome`.
    pub(super) fn with(
        id: impl Into<String>,
        outcome: Outcome,
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { id: id.into(), outcome, what: what.into(), found: found.into() }
    }
}

/// Checks that belong together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) checks: Vec<Check>,
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Findings(pub(super) Vec<Section>);

impl Findings {
    /// Every check, in order.
    pub(super) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().flat_map(|section| &section.checks)
    }

    /// Returns how many ended so.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.checks().filter(|check| check.outcome == outcome).count()
    }

    /// The outcome of a check.
    pub(super) fn outcome(&self, id: &str) -> Option<Outcome> {
        self.checks().find(|check| check.id == id).map(|check| check.outcome)
    }

    /// Returns whether whoever gets there can do everything: no password, and nothing that is refused.
    pub(super) fn wide_open(&self) -> bool {
        let blocked = |check: &&Check| check.id.starts_with("blocked-");
        self.outcome("no-password") == Some(Outcome::Fails)
            && self.outcome("ping") == Some(Outcome::Holds)
            && self.checks().filter(blocked).all(|check| check.outcome == Outcome::Fails)
    }

    /// Returns whether no check failed.
    pub(crate) fn hold(&self) -> bool {
        self.count(Outcome::Fails) == 0
    }
}

/// A reply, or why there is none, fit for a line of the report.
pub(super) fn told(reply: &io::Result<String>) -> String {
    match reply {
        Ok(reply) => {
            let mut told = reply.chars().flat_map(char::escape_debug);
            let mut text: String = told.by_ref().take(MAX_TOLD).collect();
            if told.next().is_some() {
                text.push('…');
            }
            text.replace("\\'", "'").replace("\\\"", "\"")
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => "no reply in time".to_owned(),
        Err(error) => error.to_string(),
    }
}
