//! Compares a client's text with a keyword as Redis does.

/// Returns true if Redis reads `sent` as the keyword `word`.
///
/// Redis compares options with `strcasecmp`, which reads a C string: upper and lower case are equal,
/// and bytes after a NUL do not count, so `BLOCK`, a NUL and anything more is `BLOCK`. With any other
/// comparison, Redis could see an option that Redoubt does not.
///
/// Names of commands and subcommands are looked up in a hash table instead; see
/// [`policy`](crate::policy).
#[inline]
pub fn is_word(sent: &[u8], word: &[u8]) -> bool {
    let Some((head, rest)) = sent.split_at_checked(word.len()) else { return false };
    head.eq_ignore_ascii_case(word) && rest.first().is_none_or(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_match_in_any_case_and_up_to_a_nul() {
        for sent in [&b"block"[..], b"BLOCK", b"bLoCk", b"BLOCK\0", b"block\0\0", b"BLOCK\0STREAMS"]
        {
            assert!(is_word(sent, b"block"), "{}", sent.escape_ascii());
        }
        for sent in [&b""[..], b"bloc", b"blocks", b"\0block", b"bloc\0k", b"bloc\0", b"block "] {
            assert!(!is_word(sent, b"block"), "{}", sent.escape_ascii());
        }
    }
}
