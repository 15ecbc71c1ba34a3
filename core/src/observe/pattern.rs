//! From a key to a pattern: the parts that vary from key to key become `*`.
//!
//! A pattern is a text in which `*` stands for any text and every other byte for itself. A `*` of the key itself
//! becomes the byte [`STAR`], so that the two are told apart; [`rule`] writes Redis's syntax. Control characters
//! separate parts, as Celery's queues of one priority have them; [`ONE`] stands for each.

/// Stands for any text. A key that contains this byte has it replaced by `*` in the pattern, as it is no text.
pub(super) const ANY: u8 = 0;
/// Stands for one byte that is a control character.
const ONE: u8 = 1;
/// Most bytes of a pattern; the rest of a longer key is `*`.
pub(super) const LONGEST: usize = 128;
/// Most bytes of a part that is kept.
const LONGEST_PART: usize = 40;
/// Bytes of a part that mixes letters and digits from which on it counts as random.
const MIXED: usize = 16;

/// What a byte is, as a set of bits.
const DIGIT: u8 = 1;
const LETTER: u8 = 1 << 1;
/// A byte that no part which is kept may have.
const FOREIGN: u8 = 1 << 2;
const SEPARATOR: u8 = 1 << 3;

/// What each byte is.
const CLASSES: [u8; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, for all bytes"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        classes[at] = if is_separator(byte) {
            SEPARATOR
        } else if byte.is_ascii_digit() {
            DIGIT
        } else if byte.is_ascii_graphic() && !matches!(byte, b'@' | b'=') {
            LETTER
        } else {
            FOREIGN
        };
        at += 1;
    }
    classes
}

#[inline]
fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(FOREIGN)
}

/// Returns whether the byte separates the parts of keys. Braces surround hash tags.
pub(super) const fn is_separator(byte: u8) -> bool {
    is_control(byte) || matches!(byte, b':' | b'.' | b'/' | b'-' | b'_' | b'|' | b'{' | b'}' | b'#')
}

/// Returns whether the byte is a control character that does not belong to text.
const fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != ANY && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// Appends the pattern of `key` to `out`, without its variable parts.
pub(super) fn append(key: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let mut rest = key;
    while !rest.is_empty() {
        if out.len().saturating_sub(begin) >= LONGEST {
            push_any(out, begin);
            return;
        }
        if rest.get(8) == Some(&b'-')
            && let Some(uuid) = uuid(rest)
        {
            push_any(out, begin);
            rest = uuid;
            continue;
        }
        let (mut len, mut classes) = (0_usize, 0);
        for byte in rest {
            let class = class(*byte);
            if class == SEPARATOR {
                break;
            }
            classes |= class;
            len = len.saturating_add(1);
        }
        let (part, after) = rest.split_at(len);
        if !part.is_empty() {
            append_part(part, classes, out, begin);
        }
        rest = match after.split_first() {
            Some((separator, after)) => {
                out.push(if is_control(*separator) { ONE } else { *separator });
                after
            }
            None => after,
        };
    }
}

/// Appends a `*`, together with one before it that only a `-`, `.` or `_` separates, as in dates and addresses.
fn push_any(out: &mut Vec<u8>, begin: usize) {
    match out.get(begin..).unwrap_or_default() {
        [.., ANY] => {}
        [.., ANY, b'-' | b'.' | b'_'] => {
            out.pop();
        }
        _ => out.push(ANY),
    }
}

/// Appends a part, whose bytes are of these classes.
fn append_part(part: &[u8], classes: u8, out: &mut Vec<u8>, begin: usize) {
    if classes == LETTER && part.len() < MIXED {
        return out.extend_from_slice(part);
    }
    let is_foreign = classes == DIGIT || classes & FOREIGN != 0 || part.len() > LONGEST_PART;
    if is_foreign || is_random(part) {
        return push_any(out, begin);
    }
    // A name that ends in a number of two digits or more, such as `user1000`, keeps its letters.
    let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let name = part.len().saturating_sub(digits);
    if digits < 2 {
        out.extend_from_slice(part);
    } else {
        out.extend_from_slice(part.get(..name).unwrap_or_default());
        push_any(out, begin);
    }
}

/// Returns whether a part looks like a number, a digest or a token.
fn is_random(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hex = part.iter().all(u8::is_ascii_hexdigit);
    let changes = part.windows(2).filter(|pair| match pair {
        [one, two] => one.is_ascii_digit() != two.is_ascii_digit(),
        _ => false,
    });
    digits == part.len()
        || (is_hex && (digits > 0 && part.len() >= 8 || part.len() >= 16))
        || (digits > 0 && part.len() >= MIXED)
        || (digits > 1 && part.len() >= 6 && changes.count() >= 3)
        || (part.len() >= MIXED && mixes_cases(part))
}

/// Returns whether upper and lower case alternate as they do not in words: base64 without digits.
fn mixes_cases(part: &[u8]) -> bool {
    let changes = part.windows(2).filter(|pair| match pair {
        [one, two] => one.is_ascii_lowercase() && two.is_ascii_uppercase(),
        _ => false,
    });
    changes.count().saturating_mul(5) >= part.len()
}

/// Returns what follows the UUID that `text` begins with.
fn uuid(text: &[u8]) -> Option<&[u8]> {
    let (uuid, rest) = text.split_at_checked(36)?;
    let is_formed = uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = rest.first().is_none_or(|byte| is_separator(*byte));
    (is_formed && ends).then_some(rest)
}

/// Returns the pattern in the syntax of Redis's rules, in which `*?[]\` of keys have a backslash before them.
///
/// Bytes that are no printable text cannot occur: such parts are `*`.
pub(super) fn rule(pattern: &[u8]) -> String {
    let mut out = String::new();
    for byte in pattern {
        match byte {
            &ANY => out.push('*'),
            &ONE => out.push('?'),
            b'*' | b'?' | b'[' | b']' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            other => out.push(char::from(*other)),
        }
    }
    out
}

/// Returns a key that the pattern matches, with a letter in the place of each `*`.
pub(super) fn example(pattern: &[u8]) -> Vec<u8> {
    pattern.iter().map(|byte| if matches!(*byte, ANY | ONE) { b'x' } else { *byte }).collect()
}

/// Returns whether every key that `narrow` matches is matched by `wide` too.
pub(super) fn covers(wide: &[u8], narrow: &[u8]) -> bool {
    // As in every match with `*` alone, only the last one is tried at other places. A `*` of `narrow` is a letter
    // of its own, which only a `*` of `wide` matches.
    let (mut rest, mut left) = (wide, narrow);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (Some((&ANY, after)), _) => {
                retry = Some((after, left));
                rest = after;
            }
            (None, None) => return true,
            (Some((one, after)), Some((other, others))) if one == other => {
                (rest, left) = (after, others);
            }
            (_, None) => return false,
            _ => {
                let Some((after, covered)) = retry else { return false };
                let Some((_, covered)) = covered.split_first() else { return false };
                retry = Some((after, covered));
                (rest, left) = (after, covered);
            }
        }
    }
}

/// Returns the pattern with its last part, or the `*` that it ends in and the part before, as `*`; `None` if only
/// its first part is left, which is kept.
pub(super) fn parent(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut end = pattern.len();
    loop {
        let head = pattern.get(..end)?;
        let at = head.iter().rposition(|byte| is_separator(*byte))?;
        let kept = pattern.get(..=at)?;
        let is_all = pattern.get(at.saturating_add(1)..) == Some(&[ANY]);
        let has_name = kept.iter().any(|byte| !is_separator(*byte) && *byte != ANY);
        if !has_name {
            return None;
        }
        if !is_all {
            return Some([kept, &[ANY]].concat());
        }
        end = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        append(key, &mut out);
        out
    }

    fn shown(key: &str) -> String {
        rule(&pattern(key.as_bytes()))
    }

    #[test]
    fn variable_parts_of_keys_become_stars() {
        for (key, expected) in [
            ("cache:user:42", "cache:user:*"),
            ("cache:user:42:name", "cache:user:*:name"),
            ("user1000", "user*"),
            ("shard1:queue", "shard1:queue"),
            ("12345", "*"),
            ("counter", "counter"),
            ("{user1000}.following", "{user*}.following"),
            ("bull:mails:wait", "bull:mails:wait"),
            ("session:550e8400-e29b-41d4-a716-446655440000", "session:*"),
            ("x/550e8400-e29b-41d4-a716-446655440000/y", "x/*/y"),
            ("etag:d41d8cd98f00b204e9800998ecf8427e", "etag:*"),
            ("etag:deadbeef1", "etag:*"),
            ("day:2024-01-31", "day:*"),
            ("rate:10.1.2.3:60", "rate:*:*"),
            ("token:kJ8sPq2mXw9LrT5z", "token:*"),
            ("token:QuIckBrOwnFoXjUmPs", "token:*"),
            ("a1b2c3d4", "*"),
            ("celery-task-meta-550e8400-e29b-41d4-a716-446655440000", "celery-task-meta-*"),
            ("_kombu.binding.celery", "_kombu.binding.celery"),
            ("mail:bob@example.org", "mail:*.org"),
            ("utf:caf\u{e9}", "utf:*"),
            ("odd:[x]*?\\", "odd:\\[x\\]\\*\\?\\\\"),
            ("v2:feature", "v2:feature"),
            ("celery\u{6}\u{16}3", "celery??*"),
            ("", ""),
        ] {
            assert_eq!(shown(key), expected, "{key}");
        }
        let binary = pattern(b"k:\x00\xff\n");
        assert_eq!(rule(&binary), "k:*");
        let long = "ab:".repeat(200);
        assert!(shown(&long).len() < 2 * LONGEST && shown(&long).ends_with('*'));
    }

    #[test]
    fn no_part_of_a_rule_is_split_by_a_space() {
        assert_eq!(shown("a b:c d"), "*:*");
        assert_eq!(shown("a\r\nb"), "*");
    }

    #[test]
    fn a_pattern_covers_those_that_match_less() {
        let covers = |wide: &str, narrow: &str| {
            let with_any = |text: &str| text.replace('*', "\0").into_bytes();
            covers(&with_any(wide), &with_any(narrow))
        };
        for (wide, narrow) in [
            ("*", "a:*"),
            ("a:*", "a:*"),
            ("a:*", "a:b"),
            ("a:*", "a:*:c"),
            ("*:c", "a:*:c"),
            ("*", ""),
        ] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in
            [("a:b", "a:*"), ("a:*:c", "a:*"), ("a:*", "b:*"), ("a", ""), ("", "a")]
        {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_parent_loses_its_last_part_and_keeps_its_first() {
        let parent = |text: &str| {
            let found = parent(&text.replace('*', "\0").into_bytes());
            found.map(|found| rule(&found))
        };
        assert_eq!(parent("a:b:c").as_deref(), Some("a:b:*"));
        assert_eq!(parent("a:b:*").as_deref(), Some("a:*"));
        assert_eq!(parent("a:*:c").as_deref(), Some("a:*:*"));
        assert_eq!(parent("a:*"), None);
        assert_eq!(parent("a"), None);
        assert_eq!(parent("*"), None);
    }
}
