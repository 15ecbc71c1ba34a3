//! Where a request has its keys, and which rights on them Redis's ACL asks for.
//!
//! The places follow the key specifications of the servers; those that servers call unknown or variable
//! (`SORT … STORE`, `SET … GET`, `BITFIELD`) are found as the functions in Redis's `db.c` find them.

use super::Spec;
use super::generated_keys::KEY_SPECS;
use crate::resp::{Request, is_word};

/// What a command does with a key, in terms of Redis's ACL. Commands such as `EXISTS` need neither: any
/// pattern that matches the key opens them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// The client may learn from the value: `%R`.
    pub reads: bool,
    /// The value may change: `%W`.
    pub writes: bool,
}

impl Access {
    /// Reads and writes.
    pub const BOTH: Self = Self { reads: true, writes: true };
    /// Only reads.
    pub const READ: Self = Self { reads: true, writes: false };
    /// Only writes.
    pub const WRITE: Self = Self { reads: false, writes: true };

    /// Returns what either of them does.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { reads: self.reads || other.reads, writes: self.writes || other.writes }
    }

    /// Returns whether a pattern with these rights suffices for `other`.
    pub fn covers(self, other: Self) -> bool {
        (self.reads || !other.reads) && (self.writes || !other.writes)
    }
}

/// A group of keys of a command.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    pub(crate) begin: Begin,
    pub(crate) find: Find,
    pub(crate) access: Access,
}

/// Where a group of keys begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// At this argument.
    At(usize),
    /// Behind this word, which is searched from this argument on: from the end and backwards if it is negative.
    Behind(&'static [u8], isize),
}

/// Which arguments are keys, from the beginning of the group on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Find {
    /// Every argument in steps, up to the last: counted from the beginning, or if it is negative from the end of
    /// the request. With a limit of 2 or more, only that part of the arguments.
    Range { last: isize, step: usize, limit: usize },
    /// As many as an argument says.
    Count { count: usize, first: usize, step: usize },
}

/// Makes a row of the generated table.
pub(super) const fn at(begin: usize, find: Find, [reads, writes]: [bool; 2]) -> KeySpec {
    KeySpec { begin: Begin::At(begin), find, access: Access { reads, writes } }
}

/// Makes a row of the generated table.
pub(super) const fn behind(
    word: &'static [u8],
    from: isize,
    find: Find,
    [reads, writes]: [bool; 2],
) -> KeySpec {
    KeySpec { begin: Begin::Behind(word, from), find, access: Access { reads, writes } }
}

/// The keys of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysOf {
    /// The positions of the keys among the arguments, with what is done to them.
    pub keys: Vec<(usize, Access)>,
    /// The positions of the numbers that say how many keys there are.
    pub counts: Vec<usize>,
    /// True if the command may read any key: `SORT` with `BY` or `GET`.
    pub reads_all: bool,
    /// True if the arguments do not say what the specifications expect, or have not arrived completely.
    pub unclear: bool,
}

impl Spec {
    /// Returns the groups of keys of the command.
    pub fn key_specs(&self) -> &'static [KeySpec] {
        match KEY_SPECS.binary_search_by(|(name, _)| (*name).cmp(self.name)) {
            Ok(place) => KEY_SPECS.get(place).map_or(&[], |(_, specs)| specs),
            Err(_) => &[],
        }
    }

    /// Returns what the command does with its key, if that is its first argument and it can have no other.
    pub fn access_of_one_key(&self) -> Option<Access> {
        match self.key_specs() {
            [KeySpec { begin: Begin::At(1), find: Find::Range { last: 0, .. }, access }] => {
                Some(*access)
            }
            _ => None,
        }
    }

    /// Adds the keys of a request for this command to `found`.
    pub fn keys_of(&self, request: &Request<'_>, found: &mut KeysOf) {
        for spec in self.key_specs() {
            spec.add_keys(request, found);
        }
        match self.name {
            "set" if !has_option(request, 3, b"get") => set_access(found, Access::WRITE),
            "bitfield" if !may_change_bits(request) => set_access(found, Access::READ),
            "sort" | "sort_ro" => add_sort(request, found),
            // An empty key says that the keys follow behind KEYS.
            "migrate" => {
                found.keys.retain(|(at, _)| request.arg(*at).is_some_and(|k| !k.is_empty()))
            }
            _ => {}
        }
    }
}

impl KeySpec {
    fn add_keys(&self, request: &Request<'_>, found: &mut KeysOf) {
        let Some(begin) = self.begin(request, found) else { return };
        let (declared, arrived) = (request.declared(), arrived(request));
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => {
                let last = match usize::try_from(last) {
                    Ok(last) => begin.saturating_add(last),
                    Err(_) if limit > 1 => {
                        let part = declared.saturating_sub(begin).checked_div(limit).unwrap_or(0);
                        begin.saturating_add(part).saturating_sub(last.unsigned_abs())
                    }
                    Err(_) => declared.saturating_sub(last.unsigned_abs()),
                };
                (begin, last, step)
            }
            Find::Count { count, first, step } => {
                let counts = begin.saturating_add(count);
                let first = begin.saturating_add(first);
                let number = request.arg(counts).filter(|_| counts < arrived);
                let number = number.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                let Some(number) = number else {
                    found.unclear = true;
                    return;
                };
                found.counts.push(counts);
                let Some(more) = usize::checked_sub(number, 1) else { return };
                (first, first.saturating_add(more.saturating_mul(step)), step)
            }
        };
        found.unclear |= last >= arrived;
        let places = (first..=last.min(arrived.saturating_sub(1))).step_by(step.max(1));
        found.keys.extend(places.map(|place| (place, self.access)));
    }

    /// Returns where the group begins; `None` if it is not there.
    fn begin(&self, request: &Request<'_>, found: &mut KeysOf) -> Option<usize> {
        match self.begin {
            Begin::At(at) => (at < request.declared()).then_some(at),
            Begin::Behind(word, from) => {
                let arrived = arrived(request);
                let is_there = |at: &usize| request.arg(*at).is_some_and(|arg| is_word(arg, word));
                let at = match usize::try_from(from) {
                    Ok(from) => (from..arrived).find(is_there),
                    Err(_) => {
                        let end = request.declared().saturating_sub(from.unsigned_abs());
                        (1..=end.min(arrived.saturating_sub(1))).rev().find(is_there)
                    }
                };
                found.unclear |= at.is_none() && arrived < request.declared();
                at.map(|at| at.saturating_add(1))
            }
        }
    }
}

/// Returns how many arguments have arrived completely.
fn arrived(request: &Request<'_>) -> usize {
    request.len().saturating_sub(usize::from(request.is_cut()))
}

fn set_access(found: &mut KeysOf, access: Access) {
    found.keys.iter_mut().for_each(|(_, own)| *own = access);
}

fn has_option(request: &Request<'_>, from: usize, word: &[u8]) -> bool {
    request.args().skip(from).any(|arg| is_word(arg, word))
}

/// Returns whether `BITFIELD` has an operation that is not `GET`.
fn may_change_bits(request: &Request<'_>) -> bool {
    has_option(request, 2, b"set") || has_option(request, 2, b"incrby")
}

/// Adds the key behind the last `STORE`, and notes patterns for other keys.
fn add_sort(request: &Request<'_>, found: &mut KeysOf) {
    let (mut at, mut store) = (2, None);
    while let Some(word) = request.arg(at) {
        let next = at.saturating_add(1);
        at = if is_word(word, b"limit") {
            at.saturating_add(3)
        } else if is_word(word, b"store") {
            store = (next < arrived(request)).then_some(next);
            at.saturating_add(2)
        } else if is_word(word, b"get") {
            found.reads_all = true;
            at.saturating_add(2)
        } else if is_word(word, b"by") {
            found.reads_all |= request.arg(next).is_some_and(|pattern| pattern.contains(&b'*'));
            at.saturating_add(2)
        } else {
            next
        };
    }
    found.keys.extend(store.map(|at| (at, Access::WRITE)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{lookup_whole, specs};
    use crate::resp::{Parsed, RequestLimits, RequestParser};

    /// Returns the keys of an inline request, each with its access before it.
    fn keys(line: &str) -> String {
        let bytes = format!("{line}\r\n").into_bytes();
        let mut parser = RequestParser::new();
        let parsed = parser.parse(&bytes, &RequestLimits::AUTHENTICATED);
        assert!(matches!(parsed, Ok(Parsed::Request { .. })), "{line}");
        let request = parser.request(&bytes);
        let mut found = KeysOf::default();
        crate::session::classify(&request).unwrap().keys_of(&request, &mut found);
        let show = |(at, access): &(usize, Access)| {
            let sign = match (access.reads, access.writes) {
                (true, true) => "~",
                (true, false) => "R",
                (false, true) => "W",
                (false, false) => "-",
            };
            format!("{sign}{}", String::from_utf8_lossy(request.arg(*at).unwrap()))
        };
        let mut shown: Vec<_> = found.keys.iter().map(show).collect();
        shown.extend(found.reads_all.then(|| "all".to_owned()));
        shown.extend(found.unclear.then(|| "unclear".to_owned()));
        shown.join(" ")
    }

    #[test]
    fn keys_and_their_access_are_those_of_redis() {
        for (line, expected) in [
            ("GET a", "Ra"),
            ("SET a b", "Wa"),
            ("SET a b EX 5 GET", "~a"),
            ("INCR a", "~a"),
            ("EXISTS a b", "-a -b"),
            ("MSET a 1 b 2", "Wa Wb"),
            ("COPY a b DB 1", "Ra Wb"),
            ("BITFIELD a GET u8 0", "Ra"),
            ("BITFIELD a SET u8 0 1", "~a"),
            ("BLPOP a b 0", "~a ~b"),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "Wd Ra Rb"),
            ("ZUNION x a b", "unclear"),
            ("ZUNION 3 a b", "Ra Rb unclear"),
            ("EVAL return 2 a b c", "~a ~b"),
            ("EVAL return 0 c", ""),
            ("EVAL_RO return 1 a", "Ra"),
            ("XREAD COUNT 2 BLOCK 0 STREAMS a b 0 0", "Ra Rb"),
            ("XREADGROUP GROUP g c STREAMS a >", "Ra"),
            ("SORT a BY nosort STORE d", "Ra Wd"),
            ("SORT a BY w_* LIMIT 0 5 GET # STORE x STORE d", "Ra Wd all"),
            ("MIGRATE host 6379 a 0 100", "~a"),
            ("MIGRATE host 6379 \"\" 0 100 KEYS a b", "~a ~b"),
            ("GEORADIUS a 1 2 3 km STORE d", "Ra Wd"),
            ("OBJECT ENCODING a", "-a"),
            ("XGROUP CREATE a g $", "Wa"),
            ("LMPOP 2 a b LEFT", "~a ~b"),
            ("PUBLISH a b", ""),
            ("PING", ""),
        ] {
            assert_eq!(keys(line), expected, "{line}");
        }
    }

    #[test]
    fn every_row_belongs_to_a_command() {
        assert!(KEY_SPECS.is_sorted_by(|one, other| one.0 < other.0));
        for (name, _) in KEY_SPECS {
            assert!(lookup_whole(name.as_bytes()).is_some(), "{name}");
        }
        let without: Vec<_> = specs()
            .filter(|spec| spec.keys.first > 0 && spec.key_specs().is_empty())
            .map(|spec| spec.name)
            .collect();
        // Their first argument is a channel or a cursor, and Redis says that it is no key.
        assert_eq!(without.join(" "), "clusterscan spublish ssubscribe sunsubscribe");
    }
}
