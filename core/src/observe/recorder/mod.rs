//! Records what the sessions of a worker do, as combinations of commands and key patterns with their counts.
//!
//! A request is hashed with its keys, and mostly its slot in a table of recent requests has that hash and counts
//! it. Otherwise its shape is found: the patterns of its keys, without allocation if the shape is known. Only a new
//! shape makes a [`Combination`].
//!
//! Values are never kept. A bounded number of requests are kept as samples for `ACL DRYRUN`, with their keys, and
//! with a placeholder for every other argument.

mod recent;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use self::recent::{Counted, Recent};
use super::combination::{Channel, Combination, Origin, Unclear};
use super::hash::{Hash, Hashed};
use super::names::Names;
use super::scripts::ScriptsSeen;
use super::shape::{Asked, Kind, Kinds, Shape};
use super::{pattern, rebuild};
use crate::auth::IdentityId;
use crate::command::{Access, Spec};
use crate::resp::Request;
use crate::session::Rules;

/// A request that is to be tried by `ACL DRYRUN`. It has its real keys and no other argument's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The identity whose session sent it.
    pub identity: IdentityId,
    /// What it is an example of.
    pub combination: Arc<Combination>,
    /// The words of the request.
    pub words: Vec<Bytes>,
    /// Its keys.
    pub keys: Vec<Bytes>,
}

/// What a worker has recorded since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What each identity did, and how often.
    pub counts: Vec<(IdentityId, Arc<Combination>, u64)>,
    /// Requests to be tried.
    pub samples: Vec<Sample>,
    /// Number of requests that should have been samples, and for which there was no room.
    pub not_sampled: u64,
    /// Number of requests that were not counted, because there were too many combinations.
    pub not_counted: u64,
}

/// A request of a session.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) identity: IdentityId,
    pub(crate) database: u32,
    pub(crate) request: &'a Request<'a>,
    pub(crate) rules: &'a Rules,
}

/// Records what the sessions of a worker do.
pub struct Recorder {
    seed: u64,
    kinds: Kinds,
    scripts: ScriptsSeen,
    recent: Recent,
    /// The places of shapes in `seen`, by their hashes.
    shapes: HashMap<u64, u32, Hashed>,
    /// Shapes of requests for scripts whose texts had not been seen, when there were this many texts.
    without_text: (u64, Vec<u64>),
    /// The places of combinations in `seen`.
    places: HashMap<(IdentityId, Arc<Combination>), u32>,
    seen: Vec<Place>,
    names: HashMap<IdentityId, [Names; 2]>,
    samples: VecDeque<Sample>,
    not_sampled: u64,
    not_counted: u64,
    shape: Shape,
}

/// A combination, and how often it was seen.
struct Place {
    identity: IdentityId,
    combination: Arc<Combination>,
    /// The places of what it implies: the commands that a script names.
    implied: Vec<u32>,
    count: u64,
    /// Number of times that its shape was found; every time that this is a power of two a sample is kept, since
    /// the candidate may allow one key of a pattern and not another.
    shaped: u64,
}

impl Recorder {
    /// Most combinations that are kept until they are taken.
    pub const MOST: usize = 2048;
    /// Most shapes that are remembered.
    const MOST_SHAPES: usize = 4 * Self::MOST;
    /// Most samples that are kept until they are taken.
    pub const MOST_SAMPLES: usize = 128;

    /// Creates a recorder; `seed` is a secret of its own. Its tables are allocated when it records first.
    pub fn new(seed: u64, scripts: ScriptsSeen) -> Self {
        Self {
            seed,
            kinds: Kinds::new(),
            scripts,
            recent: Recent::default(),
            shapes: HashMap::default(),
            without_text: (0, Vec::new()),
            places: HashMap::new(),
            seen: Vec::new(),
            names: HashMap::new(),
            samples: VecDeque::new(),
            not_sampled: 0,
            not_counted: 0,
            shape: Shape::default(),
        }
    }

    /// Returns the hash of a request for a command of the table whose keys are at fixed positions, and nothing
    /// else of which matters.
    #[inline(never)]
    pub(crate) fn hash(
        &self,
        identity: IdentityId,
        database: u32,
        request: &Request<'_>,
        spec: &Spec,
    ) -> Option<u64> {
        let hash = self.begin_hash(identity, database, spec);
        let hash = match self.kinds.of(spec) {
            Kind::OneKeyAndOptions(_) if request.declared() > 3 => return None,
            Kind::OneKey(_) | Kind::OneKeyAndOptions(_) => hash.bytes(request.arg(1)?),
            Kind::Fixed => hash_keys(hash, spec, request),
            Kind::Special | Kind::Unchecked => return None,
        };
        Some(hash.get())
    }

    /// Counts a request that the policy allows, if one with its hash has been recorded lately.
    #[inline]
    pub(crate) fn count(&mut self, hash: u64) -> bool {
        self.recent.count(hash)
    }

    #[inline]
    fn begin_hash(&self, identity: IdentityId, database: u32, spec: &Spec) -> Hash {
        let who = (identity.number() as u64) << 48 | u64::from(database) << 16 | u64::from(spec.id);
        Hash::new(self.seed ^ who)
    }

    /// Records a request that the policy allows and that has not been counted by its `hash`; `spec` is its command,
    /// if the table has it. Requests that the server refuses before it checks the ACL, or for which it does not
    /// check it, are left out.
    pub(crate) fn record(
        &mut self,
        seen: &Seen<'_>,
        spec: Option<&'static Spec>,
        hash: Option<u64>,
    ) {
        let Seen { identity, database, request, rules } = *seen;
        if identity == IdentityId::NOBODY {
            return;
        }
        let Some(spec) = spec else {
            return self.record_unknown(seen);
        };
        if self.kinds.of(spec) == Kind::Unchecked
            || !spec.arity_holds(request.declared())
            || !rules.exists(spec)
        {
            return;
        }
        let asked = Asked { identity, database, request, spec, rules };
        if let Some(hash) = hash
            && self.count_pattern(&asked, hash)
        {
            return;
        }
        if spec.scripting.is_some() {
            self.look_for_texts();
        }
        self.shape.find(spec, request);
        let hash = match hash {
            Some(hash) => hash,
            None => {
                let begin = self.begin_hash(identity, database, spec);
                let hash = self.shape.hash(begin, request).get();
                if self.recent.count(hash) {
                    return;
                }
                hash
            }
        };
        self.record_shape(&asked, hash);
    }

    /// Counts a request with one key, if requests with keys of its pattern are known, and if it is to be no sample.
    #[inline]
    fn count_pattern(&mut self, asked: &Asked<'_>, hash: u64) -> bool {
        let (Kind::OneKey(access) | Kind::OneKeyAndOptions(access)) = self.kinds.of(asked.spec)
        else {
            return false;
        };
        let Some(key) = asked.request.arg(1).filter(|_| !asked.request.is_cut()) else {
            return false;
        };
        let shape = self.shape.of_one_key(self.seed, asked, key, access);
        let Some(place) = self.shapes.get(&shape).copied() else { return false };
        let Some(seen) = self.seen.get_mut(place as usize) else { return false };
        let shaped = seen.shaped.saturating_add(1);
        if shaped.is_power_of_two() {
            return false;
        }
        seen.shaped = shaped;
        self.put(hash, place);
        true
    }

    /// Counts a request that is not among the recent ones; `self.shape` has where its keys are.
    fn record_shape(&mut self, asked: &Asked<'_>, hash: u64) {
        let shape = self.shape.patterns(self.seed, asked);
        let known = self.shapes.get(&shape).copied();
        let Some(place) = known.or_else(|| self.add(asked, shape)) else {
            self.not_counted = self.not_counted.saturating_add(1);
            return;
        };
        self.put(hash, place);
        let Some(seen) = self.seen.get_mut(place as usize) else { return };
        seen.shaped = seen.shaped.saturating_add(1);
        if seen.shaped.is_power_of_two() {
            let combination = Arc::clone(&seen.combination);
            let implied = seen.implied.clone();
            self.sample(asked, combination, &implied);
        }
    }

    /// Counts the request in its slot, from which another one may have to go.
    #[inline]
    fn put(&mut self, hash: u64, place: u32) {
        let former = self.recent.put(hash, place);
        former.into_iter().for_each(|former| count(&mut self.seen, former));
    }

    /// Forgets the shapes of scripts without texts, if texts have come since they were recorded.
    fn look_for_texts(&mut self) {
        let texts = self.scripts.texts();
        let (before, shapes) = &mut self.without_text;
        if mem::replace(before, texts) == texts || shapes.is_empty() {
            return;
        }
        for shape in shapes.drain(..) {
            self.shapes.remove(&shape);
        }
        self.recent.take().for_each(|counted| count(&mut self.seen, counted));
        self.recent.clear();
    }

    /// Adds a new shape. Returns the place of its combination; `None` if there is no room.
    fn add(&mut self, asked: &Asked<'_>, shape: u64) -> Option<u32> {
        let mut combination = self.shape.combination(asked);
        self.fold(asked.identity, &mut combination);
        let implied = self.implied(asked, &mut combination);
        if combination.unclear == Some(Unclear::ScriptNotSeen) {
            // The text may come after the first request for it, which the server answers with NOSCRIPT.
            if self.shapes.len() < Self::MOST_SHAPES {
                self.without_text.1.push(shape);
            }
        }
        let place = self.place(asked.identity, combination)?;
        let implied = implied.into_iter().filter_map(|one| self.place(asked.identity, one));
        let implied: Vec<_> = implied.collect();
        if let Some(seen) = self.seen.get_mut(place as usize) {
            seen.implied = implied;
        }
        if self.shapes.len() < Self::MOST_SHAPES {
            self.shapes.insert(shape, place);
        }
        Some(place)
    }

    /// Replaces names that vary by `*`.
    fn fold(&mut self, identity: IdentityId, combination: &mut Combination) {
        let [keys, channels] = self.names.entry(identity).or_default();
        for (key, _) in &mut combination.keys {
            fold(keys, key);
        }
        for Channel { pattern, is_glob } in &mut combination.channels {
            if !*is_glob {
                fold(channels, pattern);
            }
        }
        combination.normalize();
    }

    /// Returns what a request for a script implies: the commands that the script names, with its declared keys.
    fn implied(&self, asked: &Asked<'_>, combination: &mut Combination) -> Vec<Combination> {
        let Some(script) = self.shape.script(asked, &self.scripts) else { return Vec::new() };
        let Some(calls) = script else {
            combination.unclear = Some(Unclear::ScriptNotSeen);
            return Vec::new();
        };
        if calls.computes {
            combination.unclear.get_or_insert(Unclear::ScriptComputes);
        }
        let of = |spec: &&'static Spec| Combination {
            command: spec.name.into(),
            origin: Origin::NamedInScript,
            keys: if spec.key_specs().is_empty() { Vec::new() } else { combination.keys.clone() },
            channels: Vec::new(),
            databases: combination.databases.clone(),
            unclear: None,
        };
        // A rule that names what the server does not have is no rule.
        calls.commands.iter().filter(|spec| asked.rules.exists(spec)).map(of).collect()
    }

    /// Returns the place of a combination, which may be new; `None` if there is no room.
    fn place(&mut self, identity: IdentityId, combination: Combination) -> Option<u32> {
        let combination = Arc::new(combination);
        let key = (identity, Arc::clone(&combination));
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        if self.seen.len() >= Self::MOST {
            return None;
        }
        let place = u32::try_from(self.seen.len()).ok()?;
        self.places.insert(key, place);
        let implied = Vec::new();
        self.seen.push(Place { identity, combination, implied, count: 0, shaped: 0 });
        Some(place)
    }

    /// Keeps the request as a sample, and one for each command that it implies.
    fn sample(&mut self, asked: &Asked<'_>, combination: Arc<Combination>, implied: &[u32]) {
        let Some((words, keys)) = self.shape.sample(asked) else {
            self.not_sampled = self.not_sampled.saturating_add(1);
            return;
        };
        let identity = asked.identity;
        let declared: Vec<_> = keys.iter().map(|key| (key.to_vec(), Access::BOTH)).collect();
        self.push(Sample { identity, combination, words, keys: keys.clone() });
        for place in implied {
            let Some(seen) = self.seen.get(*place as usize) else { continue };
            let combination = Arc::clone(&seen.combination);
            let Some(spec) = crate::command::lookup_whole(combination.command.as_bytes()) else {
                continue;
            };
            let words = rebuild::request(spec, &declared, &[]);
            self.push(Sample { identity, combination, words, keys: keys.clone() });
        }
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() >= Self::MOST_SAMPLES {
            self.not_sampled = self.not_sampled.saturating_add(1);
        } else {
            self.samples.push_back(sample);
        }
    }

    /// Records a command that only the server knows.
    #[cold]
    fn record_unknown(&mut self, seen: &Seen<'_>) {
        let Seen { identity, database, request, rules } = *seen;
        let Some(command) = rules.known_to_server(request) else { return };
        if !command.arity_holds(request.declared()) {
            return;
        }
        self.shape.find_by_positions(command.keys, command.access, request);
        let mut keys = self.shape.keys_of(request);
        let unclear = if command.keys.movable || self.shape.is_unclear() {
            Some(Unclear::Keys)
        } else {
            None
        };
        let mut combination = Combination {
            command: Arc::clone(&command.name),
            origin: Origin::Sent,
            keys: mem::take(&mut keys),
            channels: Vec::new(),
            databases: vec![database],
            unclear,
        };
        self.fold(identity, &mut combination);
        let Some(place) = self.place(identity, combination) else {
            self.not_counted = self.not_counted.saturating_add(1);
            return;
        };
        let Some(seen) = self.seen.get_mut(place as usize) else { return };
        seen.count = seen.count.saturating_add(1);
        seen.shaped = seen.shaped.saturating_add(1);
        if seen.shaped.is_power_of_two() {
            let combination = Arc::clone(&seen.combination);
            match self.shape.words(request, command.name.matches('|').count().saturating_add(1)) {
                Some((words, keys)) => self.push(Sample { identity, combination, words, keys }),
                None => self.not_sampled = self.not_sampled.saturating_add(1),
            }
        }
    }

    /// Returns what has been recorded since this was last called.
    pub fn take(&mut self) -> Recorded {
        self.recent.take().for_each(|counted| count(&mut self.seen, counted));
        let mut implied: HashMap<u32, u64> = HashMap::new();
        for seen in self.seen.iter().filter(|seen| seen.count > 0) {
            for place in &seen.implied {
                let count = implied.entry(*place).or_default();
                *count = count.saturating_add(seen.count);
            }
        }
        for (place, count) in implied {
            if let Some(seen) = self.seen.get_mut(place as usize) {
                seen.count = seen.count.saturating_add(count);
            }
        }
        let used = self.seen.iter_mut().filter(|seen| seen.count > 0);
        let counts = used
            .map(|seen| (seen.identity, Arc::clone(&seen.combination), mem::take(&mut seen.count)));
        let recorded = Recorded {
            counts: counts.collect(),
            samples: mem::take(&mut self.samples).into(),
            not_sampled: mem::take(&mut self.not_sampled),
            not_counted: mem::take(&mut self.not_counted),
        };
        // What is still in use is found again.
        if self.seen.len() > Self::MOST / 2 || self.shapes.len() >= Self::MOST_SHAPES {
            self.forget();
        }
        recorded
    }

    /// Samples every combination again when it is used next: what is allowed may be another set.
    pub fn sample_again(&mut self) {
        self.recent.take().for_each(|counted| count(&mut self.seen, counted));
        self.recent.clear();
        self.seen.iter_mut().for_each(|seen| seen.shaped = 0);
    }

    /// Forgets all shapes.
    fn forget(&mut self) {
        self.recent.clear();
        self.shapes = HashMap::default();
        self.without_text.1 = Vec::new();
        self.places = HashMap::new();
        self.seen = Vec::new();
    }
}

/// Counts what was seen at a place.
fn count(seen: &mut [Place], (place, count): Counted) {
    if let Some(seen) = seen.get_mut(place as usize) {
        seen.count = seen.count.saturating_add(count);
    }
}

fn fold(names: &mut Names, pattern: &mut Box<[u8]>) {
    let mut folded = mem::take(pattern).into_vec();
    names.fold(&mut folded);
    *pattern = folded.into();
}

/// Adds the keys at the command's fixed positions.
#[inline]
fn hash_keys(mut hash: Hash, spec: &Spec, request: &Request<'_>) -> Hash {
    let Ok(mut at) = usize::try_from(spec.keys.first) else { return hash };
    if at == 0 {
        // The slot of a hash depends on its upper bits.
        return hash.number(0);
    }
    let last = match usize::try_from(spec.keys.last) {
        Ok(last) => last,
        Err(_) => request.declared().saturating_sub(spec.keys.last.unsigned_abs().into()),
    };
    let step = usize::from(spec.keys.step.unsigned_abs()).max(1);
    while at <= last {
        let Some(key) = request.arg(at) else { break };
        hash = hash.bytes(key);
        at = at.saturating_add(step);
    }
    hash
}

/// Returns the pattern of a channel of `PSUBSCRIBE`, and whether it varies.
pub(super) fn glob(channel: &[u8]) -> (Box<[u8]>, bool) {
    let mut found = Vec::new();
    // Its own stars are kept, and a digit that stands alone, such as the number of a database.
    let is_alone = |at: usize| {
        let beside = [at.checked_sub(1), at.checked_add(1)];
        let mut beside = beside.into_iter().flatten().filter_map(|at| channel.get(at));
        !beside.any(u8::is_ascii_alphanumeric)
    };
    let is_kept = |at: usize, byte: u8| byte == b'*' || (byte.is_ascii_digit() && is_alone(at));
    let text = channel.iter().enumerate();
    let text = text.map(|(at, byte)| if is_kept(at, *byte) { b'a' } else { *byte });
    let text: Vec<_> = text.collect();
    pattern::append(&text, &mut found);
    if found == text { (channel.into(), false) } else { (Box::new([pattern::ANY]), true) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Version;
    use crate::observe::{Profile, Proposal};
    use crate::policy::Scripts;
    use crate::resp::{RequestLimits, RequestParser, encode_command};
    use crate::session::{classify, rules_for_tests};

    struct Worker {
        recorder: Recorder,
        rules: Rules,
    }

    impl Worker {
        fn new(seen: &ScriptsSeen) -> Self {
            let rules = rules_for_tests(Scripts::All);
            Self { recorder: Recorder::new(7, seen.clone()), rules }
        }

        fn run(&mut self, database: u32, words: &[&str]) {
            let mut bytes = bytes::BytesMut::new();
            encode_command(words.iter().map(|word| word.as_bytes()), &mut bytes);
            self.run_bytes(database, &bytes);
        }

        fn run_bytes(&mut self, database: u32, bytes: &[u8]) {
            let limits = RequestLimits { stream_at: 64, ..RequestLimits::AUTHENTICATED };
            let mut parser = RequestParser::new();
            parser.parse(bytes, &limits).unwrap();
            let request = parser.request(bytes);
            let spec = classify(&request);
            let (recorder, rules, identity) = (&mut self.recorder, &self.rules, IdentityId::FIRST);
            let hash = spec.and_then(|spec| recorder.hash(identity, database, &request, spec));
            if !hash.is_some_and(|hash| recorder.count(hash)) {
                let seen = Seen { identity, database, request: &request, rules };
                recorder.record(&seen, spec, hash);
            }
        }

        fn line(&mut self, line: &str) {
            self.run(0, &line.split(' ').collect::<Vec<_>>());
        }

        /// Returns the rule for what has been recorded.
        fn rule(&mut self) -> String {
            let recorded = self.recorder.take();
            let mut profile = Profile::new(0);
            for (_, combination, count) in &recorded.counts {
                profile.add(combination, *count, 0);
            }
            let proposal = Proposal::of(&profile.used_since(0));
            let words = proposal.words.iter().map(|word| word.text.clone());
            words.collect::<Vec<_>>().join(" ")
        }
    }

    fn rule_of(lines: &[&str]) -> String {
        let mut worker = Worker::new(&ScriptsSeen::default());
        lines.iter().for_each(|line| worker.line(line));
        worker.rule()
    }

    #[test]
    fn requests_become_words_of_a_rule() {
        for (lines, rule) in [
            (&["GET user:1", "GET user:2", "SET user:3 v"][..], "~user:* +get +set"),
            (&["SET user:1 v GET"], "~user:* +set"),
            (&["MGET a:1 a:2 b:1", "MSET c:1 v d:1 v"], "%R~a:* %R~b:* %W~c:* %W~d:* +mget +mset"),
            (&["CLIENT SETNAME x", "CLIENT ID"], "+client|id +client|setname"),
            (&["SUBSCRIBE news:1 news:2", "PUBLISH news:3 v"], "&news:* +publish +subscribe"),
            (&["PSUBSCRIBE events:*"], "&events:* +psubscribe"),
            (&["PSUBSCRIBE events:123:*"], "&* +psubscribe"),
            (&["PSUBSCRIBE /0.celeryev/*"], "&/0.celeryev/* +psubscribe"),
            (&["XREAD COUNT 1 STREAMS s:1 0"], "%R~s:* +xread"),
            (&["AUTH x", "HELLO 3", "RESET", "QUIT"], ""),
            (&["PING", "GET", "NONSENSE a", "CONFIG", "CLIENT NONSENSE"], "+ping"),
        ] {
            assert_eq!(rule_of(lines), rule, "{lines:?}");
        }
    }

    #[test]
    fn a_script_that_is_loaded_after_the_first_request_for_it_is_known_from_then_on() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        let script = "return redis.call('GET', KEYS[1])";
        let sha = hex::encode(<sha1::Sha1 as sha1::Digest>::digest(script));
        let call = ["EVALSHA", &sha, "1", "k:1"];
        worker.run(0, &call);
        worker.run(0, &["SCRIPT", "LOAD", script]);
        worker.run(0, &call);
        assert_eq!(worker.rule(), "~k:* +evalsha +get +script|load");
    }

    #[test]
    fn commands_that_the_server_does_not_have_are_left_out() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        worker.rules.upstream_version = Some(Version::new(7, 0, 15));
        let script = "return redis.call('HEXPIRE', KEYS[1]) or redis.call('HGET', KEYS[1], 'f')";
        worker.line("CLIENT SETINFO LIB-NAME x");
        worker.line("CLIENT SETNAME x");
        worker.run(0, &["EVAL", script, "1", "h:1"]);
        assert_eq!(worker.rule(), "~h:* +client|setname +eval +hget");
    }

    #[test]
    fn requests_are_counted_whether_they_are_recent_or_not() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        for number in 0..5000 {
            worker.line(&format!("GET k:{number}"));
            worker.line("GET same");
            worker.line("SET same value");
        }
        let mut counts: Vec<_> = worker.recorder.take().counts.iter().map(|(_, _, n)| *n).collect();
        counts.sort_unstable();
        assert_eq!(counts, [5000, 5000, 5000]);
        assert!(worker.recorder.take().counts.is_empty(), "they are taken once");
        worker.line("GET same");
        assert_eq!(worker.recorder.take().counts.len(), 1);
    }

    #[test]
    fn commands_that_scripts_name_are_recorded_with_the_declared_keys() {
        let seen = ScriptsSeen::default();
        let mut worker = Worker::new(&seen);
        let script = "return redis.call('HSET', KEYS[1], 'f', ARGV[1])";
        worker.run(0, &["EVAL", script, "1", "job:1", "secret"]);
        assert_eq!(worker.rule(), "~job:* +eval +hset");
        // Another worker knows the script by its digest.
        let digest = hex::encode(<sha1::Sha1 as sha1::Digest>::digest(script));
        let mut other = Worker::new(&seen);
        other.run(0, &["EVALSHA", &digest, "1", "job:2"]);
        assert_eq!(other.rule(), "~job:* +evalsha +hset");
        other.run(0, &["EVALSHA", &"0".repeat(40), "0"]);
        let recorded = other.recorder.take();
        assert_eq!(recorded.counts[0].1.unclear, Some(Unclear::ScriptNotSeen));
        let library = "#!lua name=l\nredis.register_function('f', function(k) return redis.call('INCR', k[1]) end)";
        worker.run(0, &["FUNCTION", "LOAD", library]);
        worker.run(0, &["FCALL", "F", "1", "n:1"]);
        assert_eq!(worker.rule(), "~n:* +fcall +function|load +incr");
    }

    #[test]
    fn samples_have_keys_and_no_values() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        worker.run(0, &["SET", "user:1", "secret", "EX", "10", "GET"]);
        worker.run(
            0,
            &["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "job:7", "secret"],
        );
        worker.run(0, &["PUBLISH", "news:1", "secret"]);
        let samples = worker.recorder.take().samples;
        let text = |words: &[Bytes]| {
            words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
        };
        let words: Vec<_> = samples.iter().map(|sample| text(&sample.words)).collect();
        assert_eq!(
            words,
            ["SET user:1 0 0 0 GET", "EVAL 0 1 job:7 0", "set job:7 0", "PUBLISH news:1 0"]
        );
    }

    #[test]
    fn a_pattern_is_sampled_again_each_time_that_twice_as_many_keys_were_seen() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        for number in 0..1000 {
            worker.line(&format!("GET k:{number}"));
        }
        assert_eq!(worker.recorder.take().samples.len(), 10);
        for _ in 0..1000 {
            worker.line("GET k:999");
        }
        assert_eq!(worker.recorder.take().samples.len(), 0);
    }

    #[test]
    fn combinations_are_sampled_again_on_demand_and_nothing_is_lost() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        worker.line("GET a");
        worker.line("GET a");
        assert_eq!(worker.recorder.samples.len(), 1);
        worker.recorder.sample_again();
        worker.line("GET a");
        let recorded = worker.recorder.take();
        assert_eq!((recorded.samples.len(), recorded.counts[0].2), (2, 3));
    }

    #[test]
    fn all_tables_are_bounded_and_what_does_not_fit_is_counted() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        let letters = |n: usize| {
            [n / 676, n / 26, n].map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap()))
        };
        for number in 0..20_000 {
            let parts = [number % 60, number / 60 % 15, number / 900 % 15];
            let key = parts.map(|part| letters(part).iter().collect::<String>()).join(":");
            worker.run(u32::try_from(number % 16).unwrap(), &["GET", &key]);
        }
        assert!(worker.recorder.seen.len() <= Recorder::MOST);
        assert!(worker.recorder.samples.len() <= Recorder::MOST_SAMPLES);
        let recorded = worker.recorder.take();
        let counted: u64 = recorded.counts.iter().map(|(_, _, count)| count).sum();
        assert_eq!(counted + recorded.not_counted, 20_000);
        assert!(recorded.not_sampled > 0 && recorded.not_counted > 0);
        assert!(worker.recorder.seen.is_empty(), "room is made for what is in use");
    }

    #[test]
    fn the_databases_of_data_and_of_selections_are_recorded() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        worker.run(0, &["PING"]);
        worker.run(0, &["SELECT", "3"]);
        worker.run(3, &["GET", "a"]);
        worker.run(3, &["COPY", "a", "b", "DB", "5"]);
        worker.run(3, &["COPY", "a", "b"]);
        let mut databases: Vec<_> = worker
            .recorder
            .take()
            .counts
            .iter()
            .map(|(_, combination, _)| {
                (combination.command.to_string(), combination.databases.clone())
            })
            .collect();
        databases.sort();
        let expected = [
            ("copy", vec![3]),
            ("copy", vec![3, 5]),
            ("get", vec![3]),
            ("ping", vec![]),
            ("select", vec![3]),
        ];
        assert_eq!(databases, expected.map(|(name, all)| (name.to_owned(), all)));
    }

    #[test]
    fn a_large_request_is_recorded_by_what_has_arrived() {
        let mut worker = Worker::new(&ScriptsSeen::default());
        let begun = format!("*3\r\n$3\r\nSET\r\n$6\r\nuser:1\r\n$99\r\n{}", "v".repeat(90));
        worker.run_bytes(0, begun.as_bytes());
        let recorded = worker.recorder.take();
        assert_eq!(recorded.counts[0].1.unclear, None);
        assert_eq!(recorded.samples[0].words.len(), 3);
        let begun = format!("*4\r\n$4\r\nMGET\r\n$6\r\nuser:1\r\n$99\r\n{}", "k".repeat(90));
        worker.run_bytes(0, begun.as_bytes());
        let recorded = worker.recorder.take();
        assert_eq!(recorded.counts[0].1.unclear, Some(Unclear::Partial));
        assert_eq!((recorded.samples.len(), recorded.not_sampled), (0, 1));
    }
}
