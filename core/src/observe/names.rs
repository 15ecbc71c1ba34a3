//! Which names occur at each place of key patterns, within a bound: where too many do, all become `*`.
//!
//! Looking at one key, `cache:alice` is as good a constant as `cache:users`. Only the number of different names
//! below `cache:` tells that they vary.

use std::collections::HashMap;

use super::pattern::{ANY, is_separator};

/// A tree of the parts of patterns. Its size is bounded: most parts at a place, and most parts in total.
#[derive(Debug, Default)]
pub(super) struct Names {
    root: Place,
    size: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// By the part, with the separators behind it.
    parts: HashMap<Box<[u8]>, Place>,
    /// True once there were too many: each part is `*` from then on.
    varies: bool,
}

impl Names {
    /// Most different names at one place.
    pub(super) const MOST_AT_ONE_PLACE: usize = 16;
    /// Most different names at the first place: the beginnings of keys, which tell data of one kind from another.
    pub(super) const MOST_FIRST: usize = 64;
    /// Most parts in total.
    pub(super) const MOST: usize = 4096;

    /// Adds the parts of `pattern` and replaces those that vary. Returns true if a place has just become one at
    /// which names vary, so that earlier patterns may have to be replaced too.
    pub(super) fn fold(&mut self, pattern: &mut Vec<u8>) -> bool {
        let (mut place, mut is_first) = (&mut self.root, true);
        let mut has_turned = false;
        let mut out: Vec<u8> = Vec::with_capacity(pattern.len());
        for part in parts(pattern) {
            let (name, separators) = part;
            let most = if is_first { Self::MOST_FIRST } else { Self::MOST_AT_ONE_PLACE };
            let is_new =
                !name.contains(&ANY) && !place.parts.contains_key(&*joined(name, separators));
            if is_new && !place.varies {
                let names = place.parts.keys().filter(|part| !part.contains(&ANY)).count();
                if names >= most || self.size >= Self::MOST {
                    place.varies = true;
                    has_turned = true;
                }
            }
            let name = if place.varies && !name.is_empty() { &[ANY][..] } else { name };
            let part = joined(name, separators);
            if self.size >= Self::MOST && !place.parts.contains_key(&*part) {
                out.push(ANY);
                break;
            }
            out.extend_from_slice(&part);
            let size = &mut self.size;
            place = place.parts.entry(part).or_insert_with(|| {
                *size = size.saturating_add(1);
                Place::default()
            });
            is_first = false;
        }
        *pattern = out;
        has_turned
    }
}

fn joined(name: &[u8], separators: &[u8]) -> Box<[u8]> {
    [name, separators].concat().into()
}

/// Divides a pattern into names, each with the separators behind it.
fn parts(pattern: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let name = rest.iter().position(|byte| is_separator(*byte)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name);
        let end = after.iter().position(|byte| !is_separator(*byte)).unwrap_or(after.len());
        let (separators, after) = after.split_at(end);
        rest = after;
        Some((name, separators))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::pattern::rule;

    fn fold(names: &mut Names, text: &str) -> String {
        let mut pattern = text.replace('*', "\0").into_bytes();
        names.fold(&mut pattern);
        rule(&pattern)
    }

    fn letters(number: usize) -> String {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        [number / 676, number / 26, number].map(letter).iter().collect()
    }

    #[test]
    fn names_that_are_few_are_kept_and_many_become_a_star() {
        let mut names = Names::default();
        for number in 0..Names::MOST_AT_ONE_PLACE {
            let key = format!("user:{}:profile", letters(number));
            assert_eq!(fold(&mut names, &key), key);
        }
        assert_eq!(fold(&mut names, "user:zoe:profile"), "user:*:profile");
        assert_eq!(fold(&mut names, "user:aaa:profile"), "user:*:profile", "also those of before");
        assert_eq!(fold(&mut names, "user:*"), "user:*");
        assert_eq!(fold(&mut names, "cache:page"), "cache:page", "other places are their own");
    }

    #[test]
    fn first_parts_are_kept_longer() {
        let mut names = Names::default();
        for number in 0..Names::MOST_FIRST {
            let key = letters(number);
            assert_eq!(fold(&mut names, &key), key);
        }
        assert_eq!(fold(&mut names, "zoe"), "*");
    }

    #[test]
    fn the_size_of_the_tree_is_bounded() {
        let mut names = Names::default();
        for number in 0..200_000_usize {
            let key =
                [number % 60, number / 60 % 15, number / 900 % 15, number / 13_500].map(letters);
            fold(&mut names, &key.join(":"));
        }
        assert!(names.size <= Names::MOST, "{}", names.size);
    }
}
