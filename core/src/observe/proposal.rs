//! From a profile to the smallest rule that allows all of it.

use std::collections::BTreeMap;

use super::combination::{Combination, Origin, Pattern, Unclear};
use super::pattern;
use super::profile::Used;
use crate::command::Access;

/// The smallest rule that allows what has been done.
///
/// The rule is one set of commands and one set of key patterns, as most rules are: it also allows each of the commands
/// on each of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// The words of the rule: first those for keys, then for channels, then for commands.
    pub words: Vec<Word>,
    /// The databases, in order.
    pub databases: Vec<Database>,
    /// What the rule may lack, with the commands that it concerns.
    pub notes: Vec<(Unclear, Vec<String>)>,
}

/// A word of a rule, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, in Redis's syntax.
    pub text: String,
    /// Number of requests that need it.
    pub count: u64,
    /// The last of them, in seconds since 1970.
    pub last: u64,
    /// True if only texts of scripts name the command.
    pub named_in_script: bool,
}

/// A database, and how it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// Its number.
    pub number: u32,
    /// Number of requests that need it.
    pub count: u64,
    /// The last of them, in seconds since 1970.
    pub last: u64,
}

/// How often and when something is needed.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    count: u64,
    last: u64,
    is_sent: bool,
}

impl Need {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.last = self.last.max(other.last);
        self.is_sent |= other.is_sent;
    }

    fn of(used: &Used) -> Self {
        let is_sent = used.combination.origin == Origin::Sent;
        Self { count: used.count, last: used.last, is_sent }
    }

    fn word(self, text: String) -> Word {
        Word { text, count: self.count, last: self.last, named_in_script: !self.is_sent }
    }
}

impl Proposal {
    /// The words that a rule begins with, so that nothing else is allowed.
    pub const NOTHING: [&'static str; 3] = ["resetkeys", "resetchannels", "-@all"];

    /// Returns the smallest rule for what has been used.
    pub fn of(used: &[Used]) -> Self {
        let mut commands: BTreeMap<&str, Need> = BTreeMap::new();
        let mut keys: BTreeMap<Pattern, (Access, Need)> = BTreeMap::new();
        let mut channels: BTreeMap<String, Need> = BTreeMap::new();
        let mut databases: BTreeMap<u32, Need> = BTreeMap::new();
        let mut notes: BTreeMap<Unclear, Vec<String>> = BTreeMap::new();
        for used in used {
            let (combination, need): (&Combination, _) = (&used.combination, Need::of(used));
            commands.entry(&combination.command).or_default().add(need);
            // The keys of a script are those of the request for it.
            if combination.origin == Origin::Sent {
                for (key, access) in &combination.keys {
                    let (own, sum) = keys.entry(key.clone()).or_default();
                    *own = own.and(*access);
                    sum.add(need);
                }
                for number in &combination.databases {
                    databases.entry(*number).or_default().add(need);
                }
            }
            for channel in combination.channels() {
                channels.entry(channel).or_default().add(need);
            }
            if let Some(unclear) = combination.unclear {
                let commands = notes.entry(unclear).or_default();
                let name = combination.command.to_string();
                if !commands.contains(&name) {
                    commands.push(name);
                }
            }
        }
        let mut words = key_words(keys);
        words.extend(channel_words(channels));
        words.extend(commands.into_iter().map(|(name, need)| need.word(format!("+{name}"))));
        let databases = databases.into_iter().map(|(number, need)| Database {
            number,
            count: need.count,
            last: need.last,
        });
        Self { words, databases: databases.collect(), notes: notes.into_iter().collect() }
    }

    /// Returns the words of the whole rule.
    pub fn rule(&self) -> impl Iterator<Item = &str> {
        Self::NOTHING.into_iter().chain(self.words.iter().map(|word| &*word.text))
    }
}

/// Returns the words for keys. A pattern that another one covers is left out.
fn key_words(keys: BTreeMap<Pattern, (Access, Need)>) -> Vec<Word> {
    let mut all: Vec<(Pattern, Access, Need)> =
        keys.into_iter().map(|(key, (access, need))| (key, access, need)).collect();
    // Wider patterns come before those that they cover.
    all.sort_by(|one, other| {
        let [wide, narrow] = [pattern::covers(&one.0, &other.0), pattern::covers(&other.0, &one.0)];
        narrow.cmp(&wide).then_with(|| one.0.cmp(&other.0))
    });
    let mut kept: Vec<(Pattern, Access, Need)> = Vec::new();
    for (key, access, need) in all {
        let is_covered = |own: &&mut (Pattern, Access, Need)| {
            own.1.covers(access) && own.0 != key && pattern::covers(&own.0, &key)
        };
        match kept.iter_mut().find(is_covered) {
            Some((_, _, own)) => own.add(need),
            None => kept.push((key, access, need)),
        }
    }
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    let word = |(key, access, need): (Pattern, Access, Need)| {
        Need { is_sent: true, ..need }.word(key_word(&key, access))
    };
    kept.into_iter().map(word).collect()
}

/// Returns the word that allows keys of the pattern.
pub(super) fn key_word(key: &[u8], access: Access) -> String {
    let sign = match (access.reads, access.writes) {
        (true, true) => "~",
        (false, true) => "%W~",
        // Without a right the key must be matched by a pattern all the same.
        (_, false) => "%R~",
    };
    format!("{sign}{}", pattern::rule(key))
}

/// Returns the words for channels: if all are needed, no others.
fn channel_words(channels: BTreeMap<String, Need>) -> Vec<Word> {
    let word = |(channel, need): (String, Need)| need.word(format!("&{channel}"));
    match channels.contains_key("*") {
        false => channels.into_iter().map(word).collect(),
        true => {
            let mut all = Need::default();
            channels.into_values().for_each(|need| all.add(need));
            vec![all.word("&*".to_owned())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::combination::Channel;
    use std::sync::Arc;

    fn used(command: &str, keys: &[(&str, Access)], count: u64) -> Used {
        let mut combination = Combination {
            command: command.into(),
            origin: Origin::Sent,
            keys: keys
                .iter()
                .map(|(key, access)| (key.replace('*', "\0").into_bytes().into(), *access))
                .collect(),
            channels: Vec::new(),
            databases: vec![0],
            unclear: None,
        };
        combination.normalize();
        Used { combination: Arc::new(combination), count, first: 1, last: count }
    }

    fn rule(used: &[Used]) -> String {
        Proposal::of(used).rule().collect::<Vec<_>>().join(" ")
    }

    const NOTHING: &str = "resetkeys resetchannels -@all";

    #[test]
    fn the_rule_has_each_command_and_pattern_once() {
        let (r, w, none) = (Access::READ, Access::WRITE, Access::default());
        let all = [
            used("get", &[("cache:*", r)], 3),
            used("set", &[("cache:*", w)], 4),
            used("mget", &[("conf:a", r), ("conf:b", r)], 1),
            used("lpush", &[("queue", w)], 1),
            used("exists", &[("flag", none)], 1),
            used("client|id", &[], 9),
        ];
        let expected = "~cache:* %R~conf:a %R~conf:b %R~flag %W~queue \
            +client|id +exists +get +lpush +mget +set";
        assert_eq!(rule(&all), format!("{NOTHING} {expected}"));
        let proposal = Proposal::of(&all);
        let [first, ..] = &proposal.words[..] else { panic!("no word") };
        assert_eq!((first.count, first.last), (7, 4));
        assert_eq!(proposal.databases.iter().map(|own| own.count).sum::<u64>(), 19);
        assert_eq!(rule(&[]), NOTHING);
    }

    #[test]
    fn a_pattern_that_another_covers_is_left_out() {
        let (r, both) = (Access::READ, Access::BOTH);
        let wide = used("get", &[("a:*", r)], 1);
        let narrow = used("mget", &[("a:b", r), ("a:*:c", r)], 1);
        assert_eq!(rule(&[wide.clone(), narrow]), format!("{NOTHING} %R~a:* +get +mget"));
        let writes = used("incr", &[("a:b", both)], 1);
        assert_eq!(rule(&[wide, writes]), format!("{NOTHING} %R~a:* ~a:b +get +incr"));
    }

    #[test]
    fn commands_that_only_scripts_name_are_marked_and_bring_no_keys() {
        let mut named = used("hset", &[("k:*", Access::BOTH)], 2);
        let combination = Combination {
            origin: Origin::NamedInScript,
            unclear: None,
            ..Combination::clone(&named.combination)
        };
        named.combination = Arc::new(combination);
        let mut eval = used("eval", &[("k:*", Access::BOTH)], 2);
        Arc::make_mut(&mut eval.combination).unclear = Some(Unclear::ScriptComputes);
        let proposal = Proposal::of(&[named, eval]);
        let words: Vec<_> =
            proposal.words.iter().map(|word| (&*word.text, word.named_in_script)).collect();
        assert_eq!(words, [("~k:*", false), ("+eval", false), ("+hset", true)]);
        assert_eq!(proposal.notes, [(Unclear::ScriptComputes, vec!["eval".to_owned()])]);
    }

    #[test]
    fn channels_are_words_and_a_varying_subscription_needs_all() {
        let with = |channel: &str, is_glob: bool| {
            let mut used = used("subscribe", &[], 1);
            let pattern = if is_glob { channel.to_owned() } else { channel.replace('*', "\0") };
            let pattern = pattern.into_bytes().into();
            Arc::make_mut(&mut used.combination).channels.push(Channel { pattern, is_glob });
            used
        };
        let all = [with("events:*", true), with("room:*", false), with("od*d?", true)];
        assert_eq!(rule(&all), format!("{NOTHING} &events:* &od*d? &room:* +subscribe"));
        let varying = [with("events:*", true), with("*", false)];
        assert_eq!(rule(&varying), format!("{NOTHING} &* +subscribe"));
    }
}
