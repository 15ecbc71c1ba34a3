//! A request that needs the same rights as a combination, for `ACL DRYRUN`.

use bytes::Bytes;

use super::combination::{Combination, Origin};
use super::pattern;
use crate::command::{self, Access, Begin, Find, KeySpec, Spec};

/// Stands for an argument that is no key.
pub(super) const PLACEHOLDER: &[u8] = b"0";
/// Most keys of a group.
const MOST_KEYS: usize = 16;

impl Combination {
    /// Returns a request of this combination, with a letter in the place of each part of a key that varies;
    /// `None` if its keys are unknown.
    pub fn request(&self) -> Option<Vec<Bytes>> {
        let spec = command::lookup_whole(self.command.as_bytes())?;
        let example = |pattern: &[u8]| pattern::example(pattern);
        let keys: Vec<_> =
            self.keys.iter().map(|(pattern, access)| (example(pattern), *access)).collect();
        let channels = self.channels.iter().map(|channel| {
            if channel.is_glob { channel.rule().into_bytes() } else { example(&channel.pattern) }
        });
        let mut words = request(spec, &keys, &channels.collect::<Vec<_>>());
        if self.origin == Origin::Sent {
            add_options(spec, &keys, &mut words);
        }
        Some(words)
    }
}

/// Returns a request for the command with these keys and channels, as far as the command takes them.
pub(super) fn request(spec: &Spec, keys: &[(Vec<u8>, Access)], channels: &[Vec<u8>]) -> Vec<Bytes> {
    let mut words: Vec<Bytes> =
        spec.name.split('|').map(|word| Bytes::from_static(word.as_bytes())).collect();
    if spec.name == "xreadgroup" {
        // Redis looks for STREAMS behind the words that it knows.
        words.push(Bytes::from_static(b"GROUP"));
    }
    for group in spec.key_specs() {
        add(group, keys, &mut words);
    }
    words.extend(channels.iter().map(|channel| Bytes::copy_from_slice(channel)));
    let least = usize::from(spec.arity.unsigned_abs());
    while words.len() < least {
        words.push(Bytes::from_static(PLACEHOLDER));
    }
    words
}

/// Adds the options by which a command does with its keys what is to be allowed.
fn add_options(spec: &Spec, keys: &[(Vec<u8>, Access)], words: &mut Vec<Bytes>) {
    let does = |access: Access| keys.iter().any(|(_, own)| own.covers(access));
    let more: &[&'static str] = match spec.name {
        "set" if does(Access::READ) => &["GET"],
        "bitfield" if does(Access::BOTH) => &["SET", "u8", "0", "1"],
        _ => &[],
    };
    words.extend(more.iter().map(|word| Bytes::from_static(word.as_bytes())));
    if spec.name == "sort"
        && let Some((key, _)) = keys.iter().find(|(_, own)| *own == Access::WRITE)
    {
        words.extend([Bytes::from_static(b"STORE"), Bytes::copy_from_slice(key)]);
    }
}

fn add(group: &KeySpec, keys: &[(Vec<u8>, Access)], words: &mut Vec<Bytes>) {
    let exactly = keys.iter().filter(|(_, own)| *own == group.access);
    let mut own: Vec<_> = exactly.map(|(key, _)| key).take(MOST_KEYS).collect();
    let (begin, is_behind) = match group.begin {
        Begin::At(begin) => (begin, None),
        Begin::Behind(word, from) => (usize::try_from(from).unwrap_or(0), Some(word)),
    };
    if own.is_empty() && is_behind.is_none() {
        own = keys.iter().filter(|(_, own)| own.covers(group.access)).map(|(key, _)| key).collect();
        // What SET and BITFIELD do with their key depends on their options.
        let all = keys.iter().map(|(key, _)| key).filter(|_| own.is_empty());
        own = own.iter().copied().chain(all).take(MOST_KEYS).collect();
    }
    if own.is_empty() && (is_behind.is_some() || !matches!(group.find, Find::Count { .. })) {
        return;
    }
    while words.len() < begin {
        words.push(Bytes::from_static(PLACEHOLDER));
    }
    let key = |key: &Vec<u8>| Bytes::copy_from_slice(key);
    let step = match group.find {
        // The key of MIGRATE stands at its own place.
        Find::Range { .. } if is_behind == Some(b"keys") => return,
        Find::Range { last, step, limit } => {
            words.extend(is_behind.map(Bytes::from_static));
            if let Ok(last) = usize::try_from(last) {
                own.truncate(last.checked_div(step).unwrap_or(0).saturating_add(1));
            }
            if limit > 1 {
                let behind = own.len();
                words.extend(own.into_iter().map(key));
                words.resize(words.len().saturating_add(behind), Bytes::from_static(PLACEHOLDER));
                return;
            }
            step
        }
        Find::Count { step, .. } => {
            words.push(own.len().to_string().into());
            step
        }
    };
    for own in own {
        words.push(key(own));
        for _ in 1..step {
            words.push(Bytes::from_static(PLACEHOLDER));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(command: &str, keys: &[(&str, Access)], channels: &[&str]) -> String {
        let spec = command::lookup_whole(command.as_bytes()).unwrap();
        let keys: Vec<_> =
            keys.iter().map(|(key, access)| (key.as_bytes().to_vec(), *access)).collect();
        let channels: Vec<_> = channels.iter().map(|channel| channel.as_bytes().to_vec()).collect();
        let mut words = request(spec, &keys, &channels);
        add_options(spec, &keys, &mut words);
        words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn requests_have_their_keys_where_redis_looks_for_them() {
        let (r, w, rw, no) = (Access::READ, Access::WRITE, Access::BOTH, Access::default());
        for (command, keys, expected) in [
            ("get", &[("a", r)][..], "get a"),
            ("set", &[("a", w)], "set a 0"),
            ("set", &[("a", rw)], "set a 0 GET"),
            ("mget", &[("a", r), ("b", r)], "mget a b"),
            ("mset", &[("a", w), ("b", w)], "mset a 0 b 0"),
            ("exists", &[("a", no)], "exists a"),
            ("copy", &[("a", r), ("b", w)], "copy a b"),
            ("copy", &[("a", rw)], "copy a a"),
            ("blpop", &[("a", rw)], "blpop a 0"),
            ("zunionstore", &[("a", r), ("d", w)], "zunionstore d 1 a"),
            ("eval", &[("a", rw)], "eval 0 1 a"),
            ("eval", &[], "eval 0 0"),
            ("xread", &[("a", r), ("b", r)], "xread streams a b 0 0"),
            ("xreadgroup", &[("a", r)], "xreadgroup GROUP 0 0 streams a 0"),
            ("sort", &[("a", r), ("d", w)], "sort a STORE d"),
            ("object|encoding", &[("a", no)], "object encoding a"),
            ("client|id", &[], "client id"),
            ("migrate", &[("a", rw)], "migrate 0 0 a 0 0"),
        ] {
            assert_eq!(built(command, keys, &[]), expected, "{command}");
        }
        assert_eq!(built("publish", &[], &["c"]), "publish c 0");
        assert_eq!(built("subscribe", &[], &["c", "d"]), "subscribe c d");
    }
}
