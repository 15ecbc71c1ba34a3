//! Patterns of `CONFIG GET`, as the `stringmatchlen` of Redis reads them.

/// Returns true if `text` has a character because of which Redis takes a name for a pattern.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Returns true if `pattern` matches all of `text`, in upper or lower case. The time grows with the product of
/// their lengths: only the last `*` is tried at other places, since a longer match of an earlier one leaves less
/// text for the rest.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // The pattern after the last `*`, and the text that this `*` does not cover.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = rest {
            (rest, retry) = (after, Some((after, left)));
            continue;
        }
        let step = match (left.split_first(), rest.is_empty()) {
            (None, is_over) => return is_over,
            (Some(_), true) => None,
            (Some((byte, after)), false) => one(rest, *byte).map(|rest| (rest, after)),
        };
        (rest, left) = match (step, retry) {
            (Some(step), _) => step,
            (None, Some((after, covered))) => {
                let Some((_, covered)) = covered.split_first() else { return false };
                retry = Some((after, covered));
                (after, covered)
            }
            (None, None) => return false,
        };
    }
}

/// Returns the rest of `pattern` after its first element, which is no `*`, if that matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, rest @ ..] => same(*escaped, byte).then_some(rest),
        [plain, rest @ ..] => same(*plain, byte).then_some(rest),
        [] => None,
    }
}

/// Like [`one`], for what follows a `[`. A class without an end reaches to the end of the pattern. In a class,
/// Redis compares an escaped character exactly.
fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (is_negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [b'\\', escaped, rest @ ..] => {
                found |= *escaped == byte;
                rest
            }
            [b']', after @ ..] => return (found != is_negated).then_some(after),
            [first, b'-', last, rest @ ..] => {
                let [first, last, byte] = [first, last, &byte].map(u8::to_ascii_lowercase);
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                rest
            }
            [plain, rest @ ..] => {
                found |= same(*plain, byte);
                rest
            }
            [] => return (found != is_negated).then_some(rest),
        };
    }
}

fn same(one: u8, other: u8) -> bool {
    one.eq_ignore_ascii_case(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, wanted) in [
            ("*", "timeout", true),
            ("***", "timeout", true),
            ("t*t", "timeout", true),
            ("t*o", "timeout", false),
            ("*time*out*", "timeout", true),
            ("*o*o*", "timeout", false),
            ("?imeout", "timeout", true),
            ("timeout?", "timeout", false),
            ("TIME*", "timeout", true),
            ("[st]imeout", "timeout", true),
            ("[^t]imeout", "timeout", false),
            ("[a-z]imeout", "timeout", true),
            ("[z-a]imeout", "timeout", true),
            ("[A-Z]imeout", "timeout", true),
            ("timeou[t", "timeout", true),
            ("timeou[^s", "timeout", true),
            ("timeou[", "timeout", false),
            ("time\\out", "timeout", true),
            ("time\\*", "timeout", false),
            ("[\\t]imeout", "timeout", true),
            ("[\\T]imeout", "timeout", false),
            ("[]t]imeout", "timeout", false),
            ("", "timeout", false),
            ("timeout*", "timeout", true),
            ("timeout\\", "timeout", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let pattern = "*e".repeat(500);
        assert!(!matches(pattern.as_bytes(), "e".repeat(499).as_bytes()));
        assert!(matches(pattern.as_bytes(), "e".repeat(500).as_bytes()));
    }
}
