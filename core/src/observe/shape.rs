//! The shape of a request: where its keys, channels and databases are, and their patterns.

use std::sync::Arc;

use bytes::Bytes;

use super::calls::Calls;
use super::combination::{Channel, Combination, Origin, Pattern, Unclear};
use super::hash::Hash;
use super::pattern;
use super::rebuild::PLACEHOLDER;
use super::recorder::glob;
use super::scripts::ScriptsSeen;
use crate::auth::IdentityId;
use crate::command::{self, Access, ChannelKind, Effect, Flag, Keys, KeysOf, Scripting, Spec};
use crate::resp::{Request, is_word};
use crate::session::Rules;

/// A request that is recorded.
pub(super) struct Asked<'a> {
    pub(super) identity: IdentityId,
    pub(super) database: u32,
    pub(super) request: &'a Request<'a>,
    pub(super) spec: &'static Spec,
    pub(super) rules: &'a Rules,
}

/// How a command is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all: Redis does not check the ACL for it.
    Unchecked,
    /// By its first argument alone, which is its only key, and with which it does this.
    OneKey(Access),
    /// The same, but options behind its second argument change what it does with the key.
    OneKeyAndOptions(Access),
    /// By the keys at fixed positions alone.
    Fixed,
    /// All else: other keys, channels, databases or scripts.
    Special,
}

/// The kinds of commands, by their ids.
pub(super) struct Kinds([Kind; command::COUNT]);

impl Kinds {
    pub(super) fn new() -> Self {
        let mut kinds = Self([Kind::Special; command::COUNT]);
        for spec in command::specs() {
            if let Some(kind) = kinds.0.get_mut(usize::from(spec.id)) {
                *kind = Self::find(spec);
            }
        }
        kinds
    }

    fn find(spec: &Spec) -> Kind {
        let is_special = spec.keys.movable
            || spec.scripting.is_some()
            || spec.flags.contains(Flag::Pubsub)
            || spec.effect == Effect::Select
            || matches!(spec.name, "bitfield" | "copy" | "move" | "swapdb" | "msetex");
        if spec.flags.contains(Flag::NoAuth) || spec.is_container() {
            Kind::Unchecked
        } else if is_special {
            Kind::Special
        } else if spec.name == "set" {
            Kind::OneKeyAndOptions(Access::WRITE)
        } else if let Some(access) = spec.access_of_one_key() {
            Kind::OneKey(access)
        } else {
            Kind::Fixed
        }
    }

    #[inline]
    pub(super) fn of(&self, spec: &Spec) -> Kind {
        self.0.get(usize::from(spec.id)).copied().unwrap_or(Kind::Special)
    }
}

/// Where keys, channels and databases of a request are. Kept from request to request for its capacity.
#[derive(Default)]
pub(super) struct Shape {
    found: KeysOf,
    /// Positions of channels.
    channels: Vec<usize>,
    /// Positions of numbers of databases.
    databases: Vec<usize>,
    /// The position of a script, its digest or a function's name.
    script: Option<usize>,
    /// The patterns of the keys, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<(usize, Access)>,
}

/// Words that change which arguments are keys, or what is done with them.
const OPTIONS: [&[u8]; 15] = [
    b"get",
    b"set",
    b"incrby",
    b"streams",
    b"keys",
    b"store",
    b"storedist",
    b"by",
    b"limit",
    b"group",
    b"db",
    b"replace",
    b"count",
    b"block",
    b"noack",
];

impl Shape {
    /// Most words of a sample: with a step of 2 or 3, whole groups of arguments.
    const MOST_WORDS: usize = 61;
    /// Most bytes of a key or channel of a sample.
    const LONGEST: usize = 512;
    /// Most patterns of one request.
    const MOST_PATTERNS: usize = 64;

    /// Finds the places in a request for `spec`.
    pub(super) fn find(&mut self, spec: &Spec, request: &Request<'_>) {
        self.clear();
        spec.keys_of(request, &mut self.found);
        let end = arrived(request);
        match (spec.effect, spec.name) {
            (Effect::Subscribe(_), _) => self.channels.extend(1..end),
            (_, "publish" | "spublish") => self.channels.push(1),
            (Effect::Select, _) => self.databases.push(1),
            (_, "move") => self.databases.push(2),
            (_, "swapdb") => self.databases.extend([1, 2]),
            (_, "copy") => {
                let is_db = |at: &usize| request.arg(*at).is_some_and(|word| is_word(word, b"db"));
                let place = (3..end).find(is_db).map(|at| at.saturating_add(1));
                self.databases.extend(place);
            }
            _ => {}
        }
        self.script = match spec.scripting {
            Some(Scripting::Eval { .. } | Scripting::EvalSha { .. } | Scripting::Call { .. }) => {
                Some(1)
            }
            Some(Scripting::Load) => Some(2),
            Some(Scripting::Libraries) if spec.name == "function|load" => {
                Some(request.declared().saturating_sub(1))
            }
            _ => None,
        };
    }

    /// Finds keys at positions that the server has told.
    pub(super) fn find_by_positions(&mut self, keys: Keys, access: Access, request: &Request<'_>) {
        self.clear();
        let (Ok(first @ 1..), Ok(step @ 1..)) =
            (usize::try_from(keys.first), usize::try_from(keys.step))
        else {
            return;
        };
        let last = match usize::try_from(keys.last) {
            Ok(last) => last,
            Err(_) => request.declared().saturating_sub(keys.last.unsigned_abs().into()),
        };
        let end = arrived(request);
        self.found.unclear = last >= end;
        let places = (first..=last.min(end.saturating_sub(1))).step_by(step);
        self.found.keys.extend(places.map(|at| (at, access)));
    }

    fn clear(&mut self) {
        self.found.keys.clear();
        self.found.counts.clear();
        (self.found.reads_all, self.found.unclear) = (false, false);
        self.channels.clear();
        self.databases.clear();
        self.script = None;
    }

    /// Returns whether the places of some keys are unknown.
    pub(super) fn is_unclear(&self) -> bool {
        self.found.unclear
    }

    /// Adds all that the shape depends on.
    pub(super) fn hash(&self, mut hash: Hash, request: &Request<'_>) -> Hash {
        let arg = |at: usize| request.arg(at).unwrap_or_default();
        for (at, access) in &self.found.keys {
            hash = hash.number(bits(*access)).bytes(arg(*at));
        }
        for at in self.channels.iter().chain(&self.databases) {
            hash = hash.bytes(arg(*at));
        }
        if let Some(at) = self.script {
            hash = hash.bytes(arg(at));
        }
        hash.number(self.flags())
    }

    fn flags(&self) -> u64 {
        u64::from(self.found.reads_all) | u64::from(self.found.unclear) << 1
    }

    /// Returns the hash that [`Shape::patterns`] returns for a request with one key and nothing else.
    #[inline]
    pub(super) fn of_one_key(
        &mut self,
        seed: u64,
        asked: &Asked<'_>,
        key: &[u8],
        access: Access,
    ) -> u64 {
        self.text.clear();
        pattern::append(key, &mut self.text);
        begin_hash(seed, asked).number(0).number(bits(access)).bytes(&self.text).get()
    }

    /// Finds the patterns of the keys. Returns a hash of the shape.
    pub(super) fn patterns(&mut self, seed: u64, asked: &Asked<'_>) -> u64 {
        self.text.clear();
        self.ends.clear();
        let mut hash = begin_hash(seed, asked).number(self.flags());
        let (mut begin, mut last) = (0, (0, Access::default()));
        for (at, access) in &self.found.keys {
            let key = asked.request.arg(*at).unwrap_or_default();
            pattern::append(key, &mut self.text);
            let end = self.text.len();
            let own = self.text.get(begin..end);
            // Mostly all keys of a request have one pattern.
            let is_same = last.1 == *access && own == self.text.get(last.0..begin) && begin > 0;
            if is_same || self.ends.len() >= Self::MOST_PATTERNS {
                self.text.truncate(begin);
                continue;
            }
            hash = hash.number(bits(*access)).bytes(own.unwrap_or_default());
            self.ends.push((end, *access));
            last = (begin, *access);
            begin = end;
        }
        for at in &self.channels {
            let channel = asked.request.arg(*at).unwrap_or_default();
            let mut found = Vec::new();
            match asked.spec.effect {
                Effect::Subscribe(ChannelKind::Pattern) => found.extend_from_slice(channel),
                _ => pattern::append(channel, &mut found),
            }
            hash = hash.bytes(&found);
        }
        for at in self.databases.iter().chain(&self.script) {
            hash = hash.bytes(asked.request.arg(*at).unwrap_or_default());
        }
        hash.get()
    }

    /// Returns the patterns of the keys that have been found in `request`.
    pub(super) fn keys_of(&self, request: &Request<'_>) -> Vec<(Pattern, Access)> {
        let keys = self.found.keys.iter().take(Self::MOST_PATTERNS).map(|(at, access)| {
            let mut found = Vec::new();
            pattern::append(request.arg(*at).unwrap_or_default(), &mut found);
            (found.into(), *access)
        });
        keys.collect()
    }

    /// Returns the combination whose patterns have been found.
    pub(super) fn combination(&self, asked: &Asked<'_>) -> Combination {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        let keys = self.ends.iter().zip(begins).filter_map(|((end, access), begin)| {
            Some((Pattern::from(self.text.get(begin..*end)?), *access))
        });
        let mut keys: Vec<(Pattern, Access)> = keys.collect();
        if self.found.reads_all {
            keys.push((Box::new([pattern::ANY]), Access::READ));
        }
        let mut unclear = self.found.unclear.then_some(Unclear::Partial);
        let is_pattern = asked.spec.effect == Effect::Subscribe(ChannelKind::Pattern);
        let channels = self.channels.iter().filter_map(|at| asked.request.arg(*at));
        let channels = channels.map(|channel| {
            if is_pattern {
                let (pattern, varies) = glob(channel);
                if varies {
                    unclear = Some(Unclear::PatternVaries);
                }
                return Channel { pattern, is_glob: true };
            }
            let mut found = Vec::new();
            pattern::append(channel, &mut found);
            Channel { pattern: found.into(), is_glob: false }
        });
        let channels = channels.collect();
        let number = |at: &usize| std::str::from_utf8(asked.request.arg(*at)?).ok()?.parse().ok();
        let targets = self.databases.iter().filter_map(number);
        let flags = asked.spec.flags;
        let is_data = !self.found.keys.is_empty()
            || self.script.is_some()
            || (flags.contains(Flag::Readonly) || flags.contains(Flag::Write))
                && asked.spec.effect != Effect::Select;
        let databases = targets.chain(is_data.then_some(asked.database)).collect();
        Combination {
            command: asked.spec.name.into(),
            origin: Origin::Sent,
            keys,
            channels,
            databases,
            unclear,
        }
    }

    /// Returns what the script or function of the request names: `None` if it is for no script, and nothing within
    /// if the text has not been seen.
    #[expect(clippy::option_option, reason = "no script, or a script of which nothing is known")]
    pub(super) fn script(
        &self,
        asked: &Asked<'_>,
        seen: &ScriptsSeen,
    ) -> Option<Option<Arc<Calls>>> {
        let at = self.script?;
        let text = asked.request.arg(at).filter(|_| at < arrived(asked.request));
        let scripting = asked.spec.scripting?;
        let calls = text.and_then(|text| match scripting {
            Scripting::Eval { .. } => Some(seen.add_script(text)),
            Scripting::EvalSha { .. } => seen.script(text),
            Scripting::Call { .. } => seen.function(text),
            Scripting::Load => {
                seen.add_script(text);
                Some(Arc::default())
            }
            Scripting::Libraries => {
                seen.add_library(text);
                Some(Arc::default())
            }
            Scripting::Debug => None,
        });
        Some(calls)
    }

    /// Returns the words of a sample of the request, and its keys.
    pub(super) fn sample(&self, asked: &Asked<'_>) -> Option<(Vec<Bytes>, Vec<Bytes>)> {
        let words = if asked.spec.word() == asked.spec.name { 1 } else { 2 };
        self.words(asked.request, words)
    }

    /// Returns the words of a sample of the request, whose name has `named` words, and its keys; `None` if it has
    /// keys whose places are unknown, or too many arguments.
    pub(super) fn words(
        &self,
        request: &Request<'_>,
        named: usize,
    ) -> Option<(Vec<Bytes>, Vec<Bytes>)> {
        if self.found.unclear
            || (!self.found.counts.is_empty() && request.declared() > Self::MOST_WORDS)
        {
            return None;
        }
        let copy = |arg: &[u8]| Bytes::copy_from_slice(arg.get(..Self::LONGEST).unwrap_or(arg));
        let mut keys = Vec::new();
        let mut words = Vec::new();
        for at in 0..request.declared().min(Self::MOST_WORDS) {
            let arg = request.arg(at).unwrap_or_default();
            let is_key = self.found.keys.iter().any(|(place, _)| *place == at);
            let is_kept = is_key
                || at < named
                || self.channels.contains(&at)
                || self.found.counts.contains(&at)
                || (self.databases.contains(&at) && arg.iter().all(u8::is_ascii_digit))
                || OPTIONS.iter().any(|word| is_word(arg, word));
            let word = if is_kept { copy(arg) } else { Bytes::from_static(PLACEHOLDER) };
            if is_key {
                keys.push(word.clone());
            }
            words.push(word);
        }
        Some((words, keys))
    }
}

/// Returns how many arguments have arrived completely.
fn arrived(request: &Request<'_>) -> usize {
    request.len().saturating_sub(usize::from(request.is_cut()))
}

/// Begins the hash of a shape.
#[inline]
fn begin_hash(seed: u64, asked: &Asked<'_>) -> Hash {
    let (identity, database) = (asked.identity.number() as u64, u64::from(asked.database));
    Hash::new(seed).number(identity).number(database << 16 | u64::from(asked.spec.id))
}

fn bits(access: Access) -> u64 {
    u64::from(access.reads) | u64::from(access.writes) << 1
}
