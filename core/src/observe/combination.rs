//! Describes what a client did, without its values: a command with the patterns of its keys and channels.

use std::sync::Arc;

use super::pattern;
use crate::command::Access;

/// A command with the patterns of its keys and channels, and the databases that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Combination {
    /// The command's name in lower case, or a subcommand's, such as `client|id`.
    pub command: Arc<str>,
    /// It says how the command was found.
    pub origin: Origin,
    /// The patterns of its keys, in order, none twice.
    pub(super) keys: Vec<(Pattern, Access)>,
    /// Its channels, in order, none twice.
    pub(super) channels: Vec<Channel>,
    /// The databases that the command reads, writes or selects.
    pub databases: Vec<u32>,
    /// It says what cannot be told of the command; `None` if all is known.
    pub unclear: Option<Unclear>,
}

/// The pattern of keys or channels: see [`pattern`].
pub(super) type Pattern = Box<[u8]>;

/// A channel that is published or subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Channel {
    pub(super) pattern: Pattern,
    /// True for the pattern of a `PSUBSCRIBE`, which must be in the rule letter by letter.
    pub(super) is_glob: bool,
}

/// The way in which a command was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A client sent it.
    Sent,
    /// The text of a script or function that a client ran names it. Its keys are those that were declared for
    /// the script.
    NamedInScript,
}

/// Why not everything is known that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unclear {
    /// The command is not in the table, and the server does not say where its keys are.
    Keys,
    /// The request was so large that its keys had not arrived when it was decided on.
    Partial,
    /// The text of the script or function has not been seen.
    ScriptNotSeen,
    /// The script computes names of commands.
    ScriptComputes,
    /// `PSUBSCRIBE` to patterns that vary: Redis compares such a pattern letter by letter with the rule.
    PatternVaries,
}

impl Unclear {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Keys, Self::Partial, Self::ScriptNotSeen, Self::ScriptComputes, Self::PatternVaries];

    /// Returns a word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys-unknown",
            Self::Partial => "partly-seen",
            Self::ScriptNotSeen => "script-not-seen",
            Self::ScriptComputes => "script-computes",
            Self::PatternVaries => "pattern-varies",
        }
    }

    /// Returns a sentence for the operator.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Keys => {
                "the server does not say which arguments are keys, so its keys are not in the rule"
            }
            Self::Partial => "some requests were too large to see all of their keys",
            Self::ScriptNotSeen => {
                "the script's text was not seen, so the commands that it calls are not in the rule"
            }
            Self::ScriptComputes => {
                "the script computes names of commands, and these are not in the rule"
            }
            Self::PatternVaries => {
                "it subscribes to patterns that vary, and Redis compares them letter by letter with the rule"
            }
        }
    }
}

impl Combination {
    /// Returns the patterns of its keys in the syntax of rules.
    pub fn keys(&self) -> impl Iterator<Item = (String, Access)> + '_ {
        self.keys.iter().map(|(pattern, access)| (pattern::rule(pattern), *access))
    }

    /// Returns its channels in the syntax of rules.
    pub fn channels(&self) -> impl Iterator<Item = String> + '_ {
        self.channels.iter().map(Channel::rule)
    }

    /// Puts keys and channels in order, and joins those that are the same.
    pub(super) fn normalize(&mut self) {
        self.keys.sort();
        self.keys.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = kept.1.and(later.1);
            }
            same
        });
        self.channels.sort();
        self.channels.dedup();
        self.databases.sort_unstable();
        self.databases.dedup();
    }
}

impl Channel {
    /// Returns the channel in the syntax of rules.
    pub(super) fn rule(&self) -> String {
        if self.is_glob && *self.pattern != [pattern::ANY] {
            String::from_utf8_lossy(&self.pattern).into_owned()
        } else {
            pattern::rule(&self.pattern)
        }
    }
}
