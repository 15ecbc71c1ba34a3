//! Inline requests: Redis's rules for blanks, quotes and escapes (`sdssplitargs`).

use super::header;
use super::view::Span;
use crate::resp::{ProtocolError, RequestLimits};

/// Splits `line`, which has neither its line end nor a NUL, into arguments.
///
/// The decoded arguments are appended to `text`, and their places to `spans`. The limit on arguments of
/// multibulk requests applies here too, with the same error, so that the spans of one line do not take
/// many times its memory. Redis has no such limit for inline requests.
pub(super) fn split(
    line: &[u8],
    limits: &RequestLimits,
    text: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Ok(());
        }
        let count = spans.len().saturating_add(1);
        header::check_count(i64::try_from(count).unwrap_or(i64::MAX), limits)?;
        let start = text.len();
        rest = word(rest, text)?;
        spans.push(Span { start, end: text.len() });
    }
}

/// Decodes one argument to the end of `text`; returns the rest of the line.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Ok(after),
            b'"' => return closed(double_quoted(after, text)?),
            b'\'' => return closed(single_quoted(after, text)?),
            _ => {
                text.push(byte);
                rest = after;
            }
        }
    }
    Ok(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [b'"', after @ ..] => return Ok(after),
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [b'\\', b'\'', after @ ..] => {
                text.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return Ok(after),
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

/// Checks the byte after a closing quote: the quote ends the argument, so a blank or nothing must
/// follow. Returns the rest of the line.
fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

/// Does what C's `isspace` does, which unlike `u8::is_ascii_whitespace` includes the vertical tab.
fn is_space(byte: u8) -> bool {
    byte == 0x0b || byte.is_ascii_whitespace()
}

fn hex(digit: u8) -> u8 {
    let value = (digit as char).to_digit(16).unwrap_or_default();
    u8::try_from(value).unwrap_or_default()
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_space(**byte)).count();
    line.get(blanks..).unwrap_or_default()
}
