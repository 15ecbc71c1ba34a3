//! `ACL DRYRUN`: whether a candidate user may do what an identity has done.

use super::combination::Combination;
use super::proposal::key_word;
use crate::upstream::guard::{Answer, Batch};

/// What `ACL DRYRUN` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The user may.
    Allowed,
    /// The user may not, because of this part of its rule.
    Refused(Part),
    /// There is no such user any more.
    NoUser,
    /// It is not known, with Redis's words.
    Unknown(String),
}

/// A part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The commands.
    Commands,
    /// The key patterns.
    Keys,
    /// The channels.
    Channels,
    /// The databases.
    Databases,
}

impl Part {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Keys => "keys",
            Self::Channels => "channels",
            Self::Databases => "databases",
        }
    }
}

impl Tried {
    /// Most characters of Redis's words that are kept.
    const LONGEST: usize = 200;

    /// Adds the question to a batch.
    pub fn ask(user: &str, words: &[impl AsRef<[u8]>], batch: &mut Batch) {
        let asked: [&[u8]; 3] = [b"ACL", b"DRYRUN", user.as_bytes()];
        let words = words.iter().map(AsRef::as_ref);
        batch.add(&asked.into_iter().chain(words).collect::<Vec<&[u8]>>());
    }

    /// Reads the answer.
    pub fn of(answer: &Answer) -> Self {
        let shown = |text: &str| text.escape_debug().take(Self::LONGEST).collect::<String>();
        match answer {
            Answer::SimpleString(_) => Self::Allowed,
            Answer::BulkString(text) => {
                // The text ends in the name of a command, a key or a channel, which a client has chosen.
                let text = String::from_utf8_lossy(text);
                let after = |words: &str| text.split_once(words).map(|(_, after)| after);
                match (after("no permissions to run"), after("no permissions to access")) {
                    (Some(_), _) => Self::Refused(Part::Commands),
                    (None, Some(what)) if what.starts_with(" database") => {
                        Self::Refused(Part::Databases)
                    }
                    (None, Some(what)) if what.ends_with(" channel") => {
                        Self::Refused(Part::Channels)
                    }
                    (None, Some(_)) => Self::Refused(Part::Keys),
                    (None, None) => Self::Unknown(shown(&text)),
                }
            }
            Answer::Error(text) if text.starts_with("ERR User ") && text.contains("not found") => {
                Self::NoUser
            }
            Answer::Error(text) => Self::Unknown(shown(text)),
            _ => Self::Unknown("an answer that is not understood".to_owned()),
        }
    }
}

impl Combination {
    /// Returns the words that would allow this part of it.
    pub fn needs(&self, part: Part) -> Vec<String> {
        match part {
            Part::Commands => vec![format!("+{}", self.command)],
            Part::Keys => self.keys.iter().map(|(key, access)| key_word(key, *access)).collect(),
            Part::Channels => self.channels().map(|channel| format!("&{channel}")).collect(),
            Part::Databases => self.databases.iter().map(u32::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_dry_runs_tell_which_part_of_the_rule_refuses() {
        let text = |text: &str| Tried::of(&Answer::BulkString(text.into()));
        let error = |text: &str| Tried::of(&Answer::Error(text.into()));
        assert_eq!(Tried::of(&Answer::SimpleString(b"OK".to_vec())), Tried::Allowed);
        for user in ["This user has", "User app has"] {
            let of = |rest: &str| text(&format!("{user} no permissions to {rest}"));
            assert_eq!(of("run the 'get' command"), Tried::Refused(Part::Commands));
            assert_eq!(of("access the 'k' key"), Tried::Refused(Part::Keys));
            assert_eq!(of("access the 'a channel' key"), Tried::Refused(Part::Keys));
            assert_eq!(of("access the 'c' channel"), Tried::Refused(Part::Channels));
            assert_eq!(of("access database 3"), Tried::Refused(Part::Databases));
        }
        assert_eq!(error("ERR User 'redoubt-1' not found"), Tried::NoUser);
        assert!(matches!(error("ERR Command 'zz' not found"), Tried::Unknown(_)));
        assert!(matches!(text("something else"), Tried::Unknown(_)));
    }
}
