//! Counts the outcomes of each command.

use std::mem;

use crate::command::{self, COUNT, Spec};

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Redis answered it without an error.
    Ok,
    /// Redis answered it with an error.
    Error,
    /// The policy refused it.
    Refused,
    /// Redoubt answered it, or it has no reply.
    Local,
    /// It was forwarded and no reply was read, because the link or the session ended before, or the
    /// connection carries a stream.
    Unanswered,
}

impl Outcome {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Error, Self::Refused, Self::Local, Self::Unanswered];

    /// Returns a stable name for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Local => "local",
            Self::Unanswered => "unanswered",
        }
    }
}

/// The counter that a reply adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted(u16);

impl Counted {
    /// No counter: the request was Redoubt's own, or the command has been counted already.
    pub const NOT: Self = Self(u16::MAX);

    /// Returns the counter of the command; all commands that the table does not have share a counter.
    pub fn of(spec: Option<&Spec>) -> Self {
        Self(spec.map_or(Counts::OTHER, |spec| spec.id))
    }

    /// Returns the command's name; `None` if the table does not have it.
    pub(crate) fn name(self) -> Option<&'static str> {
        command::specs().find(|spec| spec.id == self.0).map(|spec| spec.name)
    }
}

/// Outcomes of commands. Each command counts once, when its outcome is known.
pub struct Counts(Box<[[u64; Outcome::ALL.len()]]>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![Default::default(); COUNT.saturating_add(1)].into())
    }
}

impl Counts {
    /// The row of commands that are not in the table.
    #[expect(clippy::cast_possible_truncation, reason = "ids are of this type")]
    const OTHER: u16 = COUNT as u16;

    /// Adds one to a counter.
    pub(crate) fn add(&mut self, counted: Counted, outcome: Outcome) {
        self.add_many(counted, outcome, 1);
    }

    pub(in crate::session) fn add_many(&mut self, counted: Counted, outcome: Outcome, more: u32) {
        if let Some(row) = self.0.get_mut(usize::from(counted.0))
            && let Some(count) = row.get_mut(outcome as usize)
        {
            *count = count.wrapping_add(more.into());
        }
    }

    /// Calls `give` with name, outcome and number for what has been counted since the last call.
    /// Commands that are not in the table are called `other`.
    pub fn take(&mut self, mut give: impl FnMut(&'static str, Outcome, u64)) {
        let names = command::specs().map(|spec| spec.name).chain(["other"]);
        for (name, row) in names.zip(&mut self.0) {
            for (outcome, count) in Outcome::ALL.into_iter().zip(row) {
                match mem::take(count) {
                    0 => {}
                    count => give(name, outcome, count),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(counts: &mut Counts) -> Vec<(&'static str, Outcome, u64)> {
        let mut taken = Vec::new();
        counts.take(|name, outcome, count| taken.push((name, outcome, count)));
        taken
    }

    #[test]
    fn each_command_has_a_counter_and_uncounted_replies_have_none() {
        let mut counts = Counts::default();
        for (index, spec) in command::specs().enumerate() {
            counts.add_many(
                Counted::of(Some(spec)),
                Outcome::Ok,
                u32::try_from(index).unwrap() + 1,
            );
        }
        counts.add(Counted::of(None), Outcome::Error);
        counts.add(Counted::NOT, Outcome::Error);
        let found = taken(&mut counts);
        assert_eq!(found.len(), COUNT + 1);
        for (index, spec) in command::specs().enumerate() {
            assert_eq!(found[index], (spec.name, Outcome::Ok, index as u64 + 1));
            assert_eq!(Counted::of(Some(spec)).name(), Some(spec.name));
        }
        assert_eq!(found[COUNT], ("other", Outcome::Error, 1));
        assert_eq!(taken(&mut counts), []);
        assert!(Counted::of(None).name().is_none() && Counted::NOT.name().is_none());
    }
}
