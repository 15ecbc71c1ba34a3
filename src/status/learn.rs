//! The formats of `/learn` and `/observed`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The smallest rule for what an identity has done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Learned {
    /// The identity.
    pub identity: String,
    /// When recording began, in RFC 3339.
    pub began: String,
    /// Seconds that the rule goes back; `None` if it goes back to the beginning.
    pub since_seconds: Option<u64>,
    /// Combinations of a command with key patterns that the rule is made from.
    pub combinations: usize,
    /// Requests that were not recorded, since the beginning, because there were too many combinations.
    pub not_counted: u64,
    /// The rule, to be pasted as `acl`.
    pub acl: Vec<String>,
    /// The words of the rule that something needs.
    pub words: Vec<NeededWord>,
    /// The databases.
    pub databases: Vec<NeededDatabase>,
    /// What the rule may lack.
    pub notes: Vec<Note>,
    /// The words of the present `acl` that nothing has needed; `None` if the identity has none.
    pub unused: Option<Vec<String>>,
    /// What `ACL DRYRUN` says of the rule; `None` if it could not be asked.
    pub check: Option<Check>,
    /// Why it could not be asked.
    pub not_checked: Option<String>,
    /// Workers that did not answer in time, so that the last second of their sessions is missing.
    pub unanswered: Vec<usize>,
}

impl Learned {
    /// The least time that a rule can be made for.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest time: a year.
    pub const LONGEST: Duration = Duration::from_secs(366 * 86_400);
}

/// A word of the rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NeededWord {
    /// The word, in Redis's syntax.
    pub word: String,
    /// Number of requests that need it.
    pub count: u64,
    /// The time of the last one, in RFC 3339.
    pub last: String,
    /// Seconds since the last one.
    pub last_seconds: u64,
    /// True if only texts of scripts name the command.
    pub named_in_script: bool,
}

/// A database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NeededDatabase {
    /// Its number.
    pub number: u32,
    /// Number of requests that need it.
    pub count: u64,
    /// Seconds since the last one.
    pub last_seconds: u64,
}

/// What a rule may lack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    /// A word for the reason.
    pub reason: String,
    /// The reason as a sentence.
    pub text: String,
    /// The commands that it concerns.
    pub commands: Vec<String>,
}

/// What `ACL DRYRUN` says of a rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Check {
    /// Combinations that the rule allows.
    pub allowed: usize,
    /// Combinations that it refuses, with the part of the rule: `set (keys)`.
    pub refused: Vec<String>,
    /// Combinations about which Redis gave no answer.
    pub unknown: Vec<String>,
}

/// What an identity in the mode "observe" was served that its `acl` would refuse.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observed {
    /// The identity.
    pub identity: String,
    /// True if its mode is "observe".
    pub observes: bool,
    /// Number of requests that were tried.
    pub asked: u64,
    /// Number of requests that should have been tried and were not, because of the bounds or since Redis gave no
    /// answer.
    pub not_asked: u64,
    /// Number of requests that wait to be tried.
    pub waiting: usize,
    /// Why nothing can be tried now.
    pub problem: Option<String>,
    /// What would be refused, the most frequent first.
    pub refusals: Vec<WouldRefuse>,
    /// Refusals that are no longer listed.
    pub forgotten: u64,
    /// Workers that did not answer in time.
    pub unanswered: Vec<usize>,
}

/// A combination that an `acl` would refuse.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WouldRefuse {
    /// Number of such requests since the start. If the `acl` allows some keys of the patterns and not others, those
    /// with the others are counted too.
    pub count: u64,
    /// The command.
    pub command: String,
    /// The part of the rule that refuses it: "commands", "keys", "channels" or "databases".
    pub rule: String,
    /// The words that would allow it.
    pub needs: Vec<String>,
    /// True if the `acl` allows some of these requests.
    pub partly: bool,
    /// True if a script names the command.
    pub named_in_script: bool,
    /// Seconds since the last one.
    pub last_seconds: u64,
}
