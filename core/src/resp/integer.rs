//! Integers by the rules of Redis's `string2ll`: no blank, no `+`, no leading zero, 64 bits.

use bytes::{BufMut, BytesMut};

/// Longest decimal form of an `i64`, in bytes.
pub const MAX_LEN: usize = 20;

/// Parses all of `text` as a number by the rules of Redis 7.0's `string2ll`.
pub fn parse(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    if text.len() > MAX_LEN {
        return None;
    }
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut value = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Parses the number that `text` begins with, and returns it with its length in bytes, if it has at
/// most 18 digits, [`parse`] would accept it and another byte follows.
///
/// This is the fast path for lengths; `None` does not mean that the text is invalid.
#[inline]
pub(super) fn prefix(text: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0_i64;
    for (len, byte) in text.iter().enumerate().take(19) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let canonical = len == 1 || (len > 1 && text.first() != Some(&b'0'));
            return canonical.then_some((value, len));
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    None
}

/// Does the same as [`prefix`], without a loop for numbers of one or two digits.
#[inline]
pub(super) fn short_prefix(text: &[u8]) -> Option<(i64, usize)> {
    let digit = |byte: u8| i64::from(byte.wrapping_sub(b'0'));
    match *text {
        [ones @ b'0'..=b'9', next, ..] if !next.is_ascii_digit() => Some((digit(ones), 1)),
        [tens @ b'1'..=b'9', ones @ b'0'..=b'9', next, ..] if !next.is_ascii_digit() => {
            Some((digit(tens).wrapping_mul(10).wrapping_add(digit(ones)), 2))
        }
        _ => prefix(text),
    }
}

/// Appends `value` in decimal.
pub fn write(mut value: u64, out: &mut BytesMut) {
    let mut digits = [0_u8; MAX_LEN];
    let mut at = MAX_LEN;
    for slot in digits.iter_mut().rev() {
        let digit = (value % 10) as u8;
        *slot = digit.wrapping_add(b'0');
        at = at.wrapping_sub(1);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_string2ll_accepts_are_parsed() {
        for value in [0, 1, -1, 9, 10, -10, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            assert_eq!(parse(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn integers_that_string2ll_rejects_are_rejected() {
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            "00",
            " 1",
            "1 ",
            "1a",
            "a",
            "0x1",
            "--1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn fast_integer_parsing_agrees_with_strict_parsing() {
        for text in
            ["0", "1", "10", "99", "100", "123456789012345678", "00", "01", "-1", "", "x", "1x"]
        {
            let line = format!("{text}\r\n");
            assert_eq!(short_prefix(line.as_bytes()), prefix(line.as_bytes()), "{text:?}");
            match prefix(line.as_bytes()) {
                Some((value, len)) => {
                    assert_eq!(parse(&line.as_bytes()[..len]), Some(value), "{text:?}");
                }
                None => assert!(!matches!(text, "0" | "1" | "10" | "1x"), "{text:?}"),
            }
        }
        assert_eq!(prefix(b"1234567890123456789\r"), None);
        assert_eq!(prefix(b"12"), None);
    }

    #[test]
    fn integers_are_written_in_decimal() {
        for value in [0, 7, 10, 100, 65536, u64::MAX] {
            let mut out = BytesMut::new();
            write(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
