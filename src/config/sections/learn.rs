//! `[learn]`: what is recorded of identities, so that `redoubt learn` can propose a rule.

use std::path::PathBuf;

use super::super::declare::{choice, file, settings};

settings! {
    /// What is recorded of identities, so that `redoubt learn` can propose a rule.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LearnSettings in "learn" {
        /// Whose requests are recorded:
        /// - "observed": those of identities whose mode is "observe".
        /// - "all": those of all identities, so that `redoubt learn` also shows what of an `acl` in force is
        ///   never used, and what clients of [client] need. What Redis refuses is left out.
        record: Recording = choice([
            ("observed", Recording::Observed),
            ("all", Recording::All),
        ])
        .default(Recording::Observed)
        .live();

        /// A file that keeps what was learned over a restart. It is written once a minute and at a stop. It
        /// holds commands, patterns of keys and counts, and no values.
        file: Option<PathBuf> = file().optional(r#""/var/lib/redoubt/learned""#);
    }
}

/// Whose requests are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Recording {
    /// Those of identities in the mode "observe".
    #[default]
    Observed,
    /// Those of all identities.
    All,
}
