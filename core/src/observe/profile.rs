//! What one identity has done, as long as it is remembered: a bounded table of combinations with their counts.

use std::collections::HashMap;
use std::sync::Arc;

use super::combination::{Channel, Combination, Origin, Unclear};
use super::names::Names;
use super::pattern;
use super::usage::Usage;
use crate::command::Access;

/// What one identity has done.
///
/// At most [`Profile::MOST`] combinations are kept. Where names vary, they become `*`; if there are too many
/// combinations all the same, the key patterns of rare ones become wider, up to their first part.
#[derive(Debug)]
pub struct Profile {
    entries: HashMap<Combination, Usage>,
    names: [Names; 2],
    /// When recording began, in seconds since 1970.
    pub since: u64,
    /// Number of requests that are in no combination, because there was no room.
    pub not_counted: u64,
}

/// A combination with its uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// What was done.
    pub combination: Arc<Combination>,
    /// How often, in the time that was asked for.
    pub count: u64,
    /// When first, in seconds since 1970.
    pub first: u64,
    /// When last, in seconds since 1970.
    pub last: u64,
}

impl Profile {
    /// Most combinations that are kept.
    pub const MOST: usize = 512;

    /// Creates an empty profile; `now` is in seconds since 1970.
    pub fn new(now: u64) -> Self {
        let names = Default::default();
        Self { entries: HashMap::new(), names, since: now, not_counted: 0 }
    }

    /// Adds uses of a combination at `now`, in seconds since 1970.
    pub fn add(&mut self, combination: &Combination, count: u64, now: u64) {
        self.put(combination.clone(), Usage::new(count, now));
    }

    fn put(&mut self, mut combination: Combination, usage: Usage) {
        if fold(&mut self.names, &mut combination) {
            self.fold_all();
        }
        if !self.entries.contains_key(&combination) && self.entries.len() >= Self::MOST {
            self.make_room();
        }
        self.insert(combination, usage);
    }

    fn insert(&mut self, combination: Combination, usage: Usage) {
        let has_room = self.entries.len() < Self::MOST;
        match self.entries.get_mut(&combination) {
            Some(own) => own.merge(&usage),
            None if !has_room => {
                self.not_counted = self.not_counted.saturating_add(usage.count);
            }
            None => {
                self.entries.insert(combination, usage);
            }
        }
    }

    /// Replaces names in all combinations that vary by now.
    fn fold_all(&mut self) {
        for (mut combination, usage) in std::mem::take(&mut self.entries) {
            fold(&mut self.names, &mut combination);
            self.insert(combination, usage);
        }
    }

    /// Makes the key patterns of the rarest combinations wider, until an eighth of the room is free. If no pattern
    /// can become wider, the combinations that have not been used for longest are forgotten.
    fn make_room(&mut self) {
        let goal = Self::MOST.saturating_sub(Self::MOST / 8);
        while self.entries.len() > goal {
            let before = self.entries.len();
            let mut rare: Vec<_> =
                self.entries.iter().map(|(one, usage)| (usage.count, one)).collect();
            rare.sort();
            let half = rare.len() / 2;
            let rare: Vec<_> =
                rare.into_iter().take(half.max(1)).map(|(_, one)| one.clone()).collect();
            let mut has_widened = false;
            for combination in rare {
                let Some(wider) = wider(&combination) else { continue };
                has_widened = true;
                if let Some(usage) = self.entries.remove(&combination) {
                    self.insert(wider, usage);
                }
            }
            if !has_widened && self.entries.len() == before {
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, usage)| usage.last);
        if let Some(oldest) = oldest.map(|(combination, _)| combination.clone())
            && let Some(usage) = self.entries.remove(&oldest)
        {
            self.not_counted = self.not_counted.saturating_add(usage.count);
        }
    }

    /// Returns what has been done since `since`, in seconds since 1970, in the order of names.
    pub fn used_since(&self, since: u64) -> Vec<Used> {
        let later = self.entries.iter().filter(|(_, usage)| usage.last >= since);
        let mut used: Vec<_> = later
            .map(|(combination, usage)| Used {
                combination: Arc::new(combination.clone()),
                count: usage.count_since(since),
                first: usage.first,
                last: usage.last,
            })
            .collect();
        used.sort_by(|one, other| one.combination.cmp(&other.combination));
        used
    }

    /// Returns the lines of the state file that describe this profile.
    pub fn write(&self) -> String {
        let mut out = format!("since {} {}\n", self.since, self.not_counted);
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(combination, _)| *combination);
        for (combination, usage) in entries {
            write_combination(combination, &mut out);
            usage.write(&mut out);
            out.push('\n');
        }
        out
    }

    /// Reads what [`Profile::write`] has written; `None` if it is something else.
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (since, not_counted) = lines.next()?.strip_prefix("since ")?.split_once(' ')?;
        let mut profile = Self::new(since.parse().ok()?);
        profile.not_counted = not_counted.parse().ok()?;
        for line in lines {
            let mut words = line.split(' ');
            let combination = read_combination(&mut words)?;
            profile.put(combination, Usage::read(words)?);
        }
        Some(profile)
    }
}

/// Replaces names that vary. Returns true if a place has just become one at which names vary.
fn fold(names: &mut [Names; 2], combination: &mut Combination) -> bool {
    let [keys, channels] = names;
    let mut has_turned = false;
    let mut fold = |names: &mut Names, pattern: &mut Box<[u8]>| {
        let mut folded = std::mem::take(pattern).into_vec();
        has_turned |= names.fold(&mut folded);
        *pattern = folded.into();
    };
    combination.keys.iter_mut().for_each(|(key, _)| fold(keys, key));
    let channels_of = combination.channels.iter_mut().filter(|channel| !channel.is_glob);
    channels_of.for_each(|channel| fold(channels, &mut channel.pattern));
    combination.normalize();
    has_turned
}

/// Returns the combination with wider patterns; `None` if none can become wider.
fn wider(combination: &Combination) -> Option<Combination> {
    let mut wider = combination.clone();
    let mut has_widened = false;
    let mut widen = |pattern: &mut Box<[u8]>| {
        if let Some(parent) = pattern::parent(pattern) {
            *pattern = parent.into();
            has_widened = true;
        }
    };
    wider.keys.iter_mut().for_each(|(key, _)| widen(key));
    let channels = wider.channels.iter_mut().filter(|channel| !channel.is_glob);
    channels.for_each(|channel| widen(&mut channel.pattern));
    wider.normalize();
    has_widened.then_some(wider)
}

/// Appends the words of a combination: its origin and command, databases, keys, channels, and what is unclear, each
/// followed by a space.
fn write_combination(combination: &Combination, out: &mut String) {
    let origin = match combination.origin {
        Origin::Sent => "sent",
        Origin::NamedInScript => "named",
    };
    let list = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    let keys = combination.keys.iter().map(|(key, access)| {
        let sign = match (access.reads, access.writes) {
            (true, true) => '~',
            (true, false) => 'r',
            (false, true) => 'w',
            (false, false) => 'e',
        };
        format!("{sign}{}", hex::encode(key))
    });
    let channels = combination.channels.iter().map(|channel| {
        let sign = if channel.is_glob { 'g' } else { 'c' };
        format!("{sign}{}", hex::encode(&channel.pattern))
    });
    let databases = combination.databases.iter().map(u32::to_string);
    let unclear = combination.unclear.map_or("-", Unclear::as_str);
    out.push_str(&format!(
        "{origin} {} {} {} {} {unclear} ",
        combination.command,
        list(databases.collect()),
        list(keys.collect()),
        list(channels.collect()),
    ));
}

fn read_combination<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Combination> {
    let origin = match words.next()? {
        "sent" => Origin::Sent,
        "named" => Origin::NamedInScript,
        _ => return None,
    };
    let command = words.next().filter(|name| !name.is_empty())?.into();
    let mut list = || {
        let text = words.next()?;
        Some(text.split(',').filter(|item| *item != "-"))
    };
    let databases = list()?.map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let signed = |text: &'a str| {
        let (sign, pattern) = text.split_at_checked(1)?;
        Some((sign, hex::decode(pattern).ok().filter(|pattern| pattern.len() <= 1024)?))
    };
    let key = |text| {
        let (sign, pattern) = signed(text)?;
        let access = match sign {
            "~" => Access::BOTH,
            "r" => Access::READ,
            "w" => Access::WRITE,
            "e" => Access::default(),
            _ => return None,
        };
        Some((pattern.into(), access))
    };
    let keys = list()?.map(key).collect::<Option<_>>()?;
    let channel = |text| {
        let (sign, pattern) = signed(text)?;
        Some(Channel { pattern: pattern.into(), is_glob: sign == "g" })
    };
    let channels = list()?.map(channel).collect::<Option<_>>()?;
    let word = words.next()?;
    let unclear = Unclear::ALL.into_iter().find(|unclear| unclear.as_str() == word);
    if unclear.is_none() && word != "-" {
        return None;
    }
    Some(Combination { command, origin, keys, channels, databases, unclear })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(key: &str) -> Combination {
        let mut pattern = Vec::new();
        pattern::append(key.as_bytes(), &mut pattern);
        Combination {
            command: "get".into(),
            origin: Origin::Sent,
            keys: vec![(pattern.into(), Access::READ)],
            channels: Vec::new(),
            databases: vec![0],
            unclear: None,
        }
    }

    fn keys(profile: &Profile) -> Vec<String> {
        profile
            .used_since(0)
            .iter()
            .flat_map(|used| used.combination.keys().map(|(key, _)| key).collect::<Vec<_>>())
            .collect()
    }

    fn letters(number: usize) -> String {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        [number / 676, number / 26, number].map(letter).iter().collect()
    }

    #[test]
    fn names_that_vary_become_one_combination_also_those_of_before() {
        let mut profile = Profile::new(1000);
        for number in 0..100 {
            profile.add(&get(&format!("user:{}", letters(number))), 1, 1000);
        }
        assert_eq!(keys(&profile), ["user:*"]);
        assert_eq!(profile.used_since(0)[0].count, 100);
    }

    #[test]
    fn the_profile_is_bounded_and_rare_patterns_become_wider() {
        let mut profile = Profile::new(1000);
        profile.add(&get("often:one:thing"), 1_000_000, 1000);
        for first in 0..40 {
            for second in 0..15 {
                for third in 0..5 {
                    let key = [first, second, third].map(letters).join(":");
                    profile.add(&get(&key), 1, 1000);
                }
            }
        }
        assert!(profile.entries.len() <= Profile::MOST);
        let keys = keys(&profile);
        assert!(keys.contains(&"often:one:thing".to_owned()), "a frequent pattern is kept");
        for first in 0..40 {
            let beginning = format!("{}:", letters(first));
            assert!(keys.iter().any(|key| key.starts_with(&beginning)), "{beginning}");
        }
        assert!(!keys.contains(&"*".to_owned()));
        assert_eq!(profile.not_counted, 0);
    }

    #[test]
    fn a_profile_is_read_as_it_was_written() {
        let mut profile = Profile::new(1000);
        profile.add(&get("cache:user:42"), 3, 1000);
        profile.add(&get("odd:[x]"), 1, 2000);
        let mut subscribe = get("x");
        subscribe.command = "psubscribe".into();
        subscribe.keys.clear();
        subscribe.channels.push(Channel { pattern: (*b"events:*").into(), is_glob: true });
        subscribe.unclear = Some(Unclear::PatternVaries);
        profile.add(&subscribe, 1, 1500);
        let text = profile.write();
        let again = Profile::read(&text).unwrap();
        assert_eq!(again.used_since(0), profile.used_since(0));
        assert_eq!(again.write(), text);
        assert_eq!(again.used_since(1600).len(), 1);
        for broken in
            ["", "since 1\n", "since 1 2\nsent", "since 1 2\nsent get 0 x00 - - 1 1 1 60+1"]
        {
            assert!(Profile::read(broken).is_none(), "{broken}");
        }
    }
}
