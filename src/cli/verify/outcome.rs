//! The results of checks.

use std::io;

/// Most characters of a reply that are shown.
const MAX_SHOWN: usize = 80;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The result is as it should be.
    Holds,
    /// The result is not as it should be.
    Fails,
    /// The result is unwise, but does not make the whole verification fail.
    Warns,
    /// The check was not run.
    NotChecked,
}

/// A check that was made, or left out.
#[derive(Debug)]
pub(super) struct Check {
    /// A stable name, for programs.
    pub(super) id: String,
    pub(super) outcome: Outcome,
    /// The subject of the check.
    pub(super) what: String,
    /// The result; never a password.
    pub(super) found: String,
}

impl Check {
    /// Makes a check that holds if `holds` is true, else fails.
    pub(super) fn new(
        id: impl Into<String>,
        holds: bool,
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
        Self::with(id, outcome, what, found)
    }

    /// Makes a check of a reply, which `right` must accept.
    pub(super) fn replied(
        id: &str,
        what: &str,
        reply: &io::Result<String>,
        right: impl Fn(&str) -> bool,
    ) -> Self {
        Self::new(id, reply.as_ref().is_ok_and(|reply| right(reply)), what, shown(reply))
    }

    /// Makes a check with this `outcome`.
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

/// All checks.
#[derive(Debug)]
pub(crate) struct Findings(pub(super) Vec<Section>);

impl Findings {
    /// Returns every check, in order.
    pub(super) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().flat_map(|section| &section.checks)
    }

    /// Returns how many checks have this outcome.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.checks().filter(|check| check.outcome == outcome).count()
    }

    /// Returns the outcome of the check `id`.
    pub(super) fn outcome(&self, id: &str) -> Option<Outcome> {
        self.checks().find(|check| check.id == id).map(|check| check.outcome)
    }

    /// Returns whether every client can do everything: no password is required, and no command is
    /// refused.
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

/// Returns a reply, or the reason why there is none, shortened for a line of the report.
pub(super) fn shown(reply: &io::Result<String>) -> String {
    match reply {
        Ok(reply) => {
            let mut shown = reply.chars().flat_map(char::escape_debug);
            let mut text: String = shown.by_ref().take(MAX_SHOWN).collect();
            if shown.next().is_some() {
                text.push('…');
            }
            text.replace("\\'", "'").replace("\\\"", "\"")
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => "no reply in time".to_owned(),
        Err(error) => error.to_string(),
    }
}
