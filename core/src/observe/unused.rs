//! Which words of a rule nothing has needed.

use super::combination::Origin;
use super::pattern::ANY;
use super::profile::Used;
use crate::command::Access;

/// Returns the words of a rule that allow something which nothing in `used` has needed. `category` returns the
/// commands of a category of Redis's, without the `@`, if it is known; an unknown one counts as used.
pub fn unused(
    rule: &[impl AsRef<str>],
    used: &[Used],
    category: impl Fn(&str) -> Option<Vec<String>>,
) -> Vec<String> {
    let words = rule.iter().flat_map(|words| words.as_ref().split_ascii_whitespace());
    // Selectors are in parentheses.
    let words = words.map(|word| word.trim_start_matches('(').trim_end_matches(')'));
    let is_unused = |word: &&str| !is_used(word, used, &category);
    words.filter(is_unused).map(str::to_owned).collect()
}

fn is_used(word: &str, used: &[Used], category: &impl Fn(&str) -> Option<Vec<String>>) -> bool {
    let lower = word.to_ascii_lowercase();
    let sent = || used.iter().filter(|used| used.combination.origin == Origin::Sent);
    let key = |access: Access, glob: &str| {
        let glob = tokens(glob.as_bytes());
        let keys = sent().flat_map(|used| &used.combination.keys);
        let may_use = |own: Access| {
            own == Access::default() || access.reads && own.reads || access.writes && own.writes
        };
        keys.into_iter().any(|(key, own)| may_use(*own) && intersect(&glob, key))
    };
    let channel = |glob: &str| {
        let own = tokens(glob.as_bytes());
        sent().flat_map(|used| &used.combination.channels).any(|channel| {
            // A pattern of PSUBSCRIBE must be the same, unless all channels are allowed.
            if channel.is_glob && *channel.pattern != [ANY] {
                glob == "*" || glob.as_bytes() == &*channel.pattern
            } else {
                intersect(&own, &channel.pattern)
            }
        })
    };
    let ran = |name: &str| {
        used.iter().any(|used| {
            let command = &*used.combination.command;
            command == name || command.split('|').next() == Some(name)
        })
    };
    if let Some(name) = lower.strip_prefix('+') {
        return match name.strip_prefix('@') {
            Some("all") => !used.is_empty(),
            Some(name) => category(name).is_none_or(|names| names.iter().any(|name| ran(name))),
            None => ran(name),
        };
    }
    match &*lower {
        "allcommands" => return !used.is_empty(),
        "allkeys" => return key(Access::BOTH, "*"),
        "allchannels" => return channel("*"),
        _ => {}
    }
    if let Some(glob) = word.strip_prefix('~') {
        return key(Access::BOTH, glob);
    }
    if let Some((signs, glob)) = word.strip_prefix('%').and_then(|word| word.split_once('~')) {
        let signs = signs.to_ascii_lowercase();
        return key(Access { reads: signs.contains('r'), writes: signs.contains('w') }, glob);
    }
    word.strip_prefix('&').is_none_or(channel)
}

/// An element of a pattern of Redis's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Glob {
    Star,
    One,
    Byte(u8),
    Class { is_negated: bool, ranges: Vec<(u8, u8)> },
}

impl Glob {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Star | Self::One => true,
            Self::Byte(own) => *own == byte,
            Self::Class { is_negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte)) != *is_negated
            }
        }
    }
}

/// Reads a pattern as the `stringmatchlen` of Redis does.
fn tokens(mut glob: &[u8]) -> Vec<Glob> {
    let mut tokens = Vec::new();
    while let Some((first, mut rest)) = glob.split_first() {
        let token = match first {
            b'*' => Glob::Star,
            b'?' => Glob::One,
            b'\\' if !rest.is_empty() => {
                let (escaped, after) = rest.split_first().unwrap_or((first, rest));
                rest = after;
                Glob::Byte(*escaped)
            }
            b'[' => {
                let is_negated = rest.first() == Some(&b'^');
                rest = rest.get(usize::from(is_negated)..).unwrap_or_default();
                let mut ranges = Vec::new();
                loop {
                    rest = match rest {
                        [] => break,
                        [b']', after @ ..] => {
                            rest = after;
                            break;
                        }
                        [b'\\', escaped, after @ ..] => {
                            ranges.push((*escaped, *escaped));
                            after
                        }
                        [one, b'-', other, after @ ..] => {
                            ranges.push((*one.min(other), *one.max(other)));
                            after
                        }
                        [one, after @ ..] => {
                            ranges.push((*one, *one));
                            after
                        }
                    };
                }
                Glob::Class { is_negated, ranges }
            }
            byte => Glob::Byte(*byte),
        };
        tokens.push(token);
        glob = rest;
    }
    tokens
}

/// Returns whether some key matches both patterns.
fn intersect(glob: &[Glob], pattern: &[u8]) -> bool {
    // Whether the glob up to here and the pattern up to each place can match one text.
    let mut reachable = vec![false; pattern.len().saturating_add(1)];
    if let Some(first) = reachable.first_mut() {
        *first = true;
    }
    close(pattern, &mut reachable);
    for token in glob {
        let mut next = vec![false; reachable.len()];
        for (at, _) in reachable.iter().enumerate().filter(|(_, is)| **is) {
            let rest = pattern.get(at..).unwrap_or_default();
            if *token == Glob::Star {
                next.iter_mut().skip(at).for_each(|place| *place = true);
                break;
            }
            let after = match rest.first() {
                // The star of the pattern is some text, whatever the token is.
                Some(&ANY) => Some(at),
                Some(byte) if token.matches(*byte) => Some(at.saturating_add(1)),
                _ => None,
            };
            if let Some(place) = after.and_then(|after| next.get_mut(after)) {
                *place = true;
            }
        }
        close(pattern, &mut next);
        reachable = next;
    }
    reachable.last() == Some(&true)
}

/// A star of the pattern may also be no text.
fn close(pattern: &[u8], reachable: &mut [bool]) {
    for (at, byte) in pattern.iter().enumerate() {
        if *byte == ANY
            && reachable.get(at) == Some(&true)
            && let Some(next) = reachable.get_mut(at.saturating_add(1))
        {
            *next = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::combination::{Channel, Combination};
    use std::sync::Arc;

    fn meet(glob: &str, pattern: &str) -> bool {
        intersect(&tokens(glob.as_bytes()), pattern.replace('*', "\0").as_bytes())
    }

    #[test]
    fn patterns_meet_if_some_key_matches_both() {
        for (glob, pattern) in [
            ("*", "a"),
            ("a:*", "a:*"),
            ("a:1*", "a:*"),
            ("*:c", "a:*"),
            ("a:?", "a:*"),
            ("a:[0-9]", "a:*"),
            ("a:[^0-9]", "a:x"),
            ("\\*", "*"),
            ("a*b*c", "a:*"),
            ("", "*"),
            ("[", ""),
        ] {
            assert!(meet(glob, pattern) != glob.starts_with('['), "{glob} {pattern}");
        }
        for (glob, pattern) in [
            ("b:*", "a:*"),
            ("a", "a:*"),
            ("a:?", "a:bc"),
            ("a:[0-9]", "a:x"),
            ("a*b", "a*c"),
            ("", "a"),
        ] {
            assert!(!meet(glob, pattern), "{glob} {pattern}");
        }
    }

    #[test]
    fn words_that_nothing_needed_are_found() {
        let of = |command: &str, key: Option<(&str, Access)>, channel: Option<&str>| {
            let pattern = |text: &str| text.replace('*', "\0").into_bytes().into();
            let combination = Combination {
                command: command.into(),
                origin: Origin::Sent,
                keys: key.into_iter().map(|(key, access)| (pattern(key), access)).collect(),
                channels: channel
                    .into_iter()
                    .map(|text| Channel { pattern: text.as_bytes().into(), is_glob: true })
                    .collect(),
                databases: vec![0],
                unclear: None,
            };
            Used { combination: Arc::new(combination), count: 1, first: 1, last: 1 }
        };
        let used = [
            of("get", Some(("cache:*", Access::READ)), None),
            of("client|id", None, None),
            of("psubscribe", None, Some("events:*")),
        ];
        let category = |name: &str| match name {
            "read" => Some(vec!["get".to_owned(), "mget".to_owned()]),
            "write" => Some(vec!["set".to_owned()]),
            _ => None,
        };
        let rule = [
            "on",
            "~cache:*",
            "~other:*",
            "%W~cache:*",
            "%RW~cache:4*",
            "&events:*",
            "&events:x",
            "+@read",
            "+@write",
            "+@unknown",
            "+get",
            "+mget",
            "+client",
            "+client|id",
            "+client|kill",
            "-keys",
            "resetkeys",
            "(+set ~other:*)",
        ];
        let expected = [
            "~other:*",
            "%W~cache:*",
            "&events:x",
            "+@write",
            "+mget",
            "+client|kill",
            "+set",
            "~other:*",
        ];
        assert_eq!(unused(&rule, &used, category), expected);
    }
}
