//! Errors in a rule, which the operator has to correct.

/// Longest name in a rule, in bytes, including the subcommand's.
pub(super) const MAX_NAME: usize = 128;

/// A rule that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The rule is empty, or has nothing before or after its `|`.
    #[error("rule {rule:?} is incomplete: write COMMAND or COMMAND|SUBCOMMAND")]
    Incomplete {
        /// The rule as written.
        rule: String,
    },
    /// The rule has a character that no command name has.
    #[error(
        "rule {rule:?} has a character that no command name has: \
         write COMMAND or COMMAND|SUBCOMMAND, without spaces, quotes or wildcards"
    )]
    Malformed {
        /// The rule as written.
        rule: String,
    },
    /// The rule is too long to be a name.
    #[error("a rule has {len} bytes, and a command name has at most {MAX_NAME}")]
    TooLong {
        /// Length of the rule in bytes.
        len: usize,
    },
    /// The rule names a subcommand of a command that has none.
    #[error(
        "rule {rule:?} cannot hold: {command} has no subcommands; write {command:?} to block it"
    )]
    NoSubcommands {
        /// The rule as written.
        rule: String,
        /// The command's name, in upper case.
        command: String,
    },
    /// An allowed name is blocked as well.
    #[error("{rule:?} is allowed and blocked: remove it from one of the two lists")]
    AlsoBlocked {
        /// The name as written.
        rule: String,
    },
    /// An allowed name is not refused.
    #[error(
        "{rule:?} need not be allowed, because it is not refused: name what `redoubt explain` \
         reports as the rule"
    )]
    NotRefused {
        /// The name as written.
        rule: String,
    },
}
