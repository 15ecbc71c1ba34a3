//! What a check found.

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should be.
    Holds,
    /// Not as it should be.
    Fails,
    /// Unwise; it does not fail the whole.
    Warns,
    /// Not made, for want of an argument.
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
    pub(super) fn new(
        id: impl Into<String>,
        holds: bool,
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
        Self { id: id.into(), outcome, what: what.into(), found: found.into() }
    }

    pub(super) fn fails(&self) -> bool {
        self.outcome == Outcome::Fails
    }
}
