//! Header lines: the argument count and the length of an argument, checked in Redis's order.

use super::line::{Line, LineSearch};
use crate::resp::limits::{MAX_ARGS, MAX_BULK};
use crate::resp::{Excess, ProtocolError, RequestLimits, integer};

/// A complete header line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// The number in the line.
    pub(super) value: i64,
    /// Length of the line in bytes, up to the CR and including the byte after it, which most servers
    /// ignore.
    pub(super) len: usize,
}

/// Parses the argument count at the start of `line`; 0 or a negative count is an empty request.
#[inline]
pub(super) fn count(
    search: &mut LineSearch,
    line: &[u8],
    limits: &RequestLimits,
) -> Result<Option<Header>, ProtocolError> {
    let header = match quick(*search, line, b'*') {
        Some(header) => header,
        None => match full(search, line, ProtocolError::CountTooBig)? {
            Some(end) => {
                check_end(line, end, limits)?;
                parsed(line, end).ok_or(ProtocolError::CountInvalid)?
            }
            None => return Ok(None),
        },
    };
    check_count(header.value, limits)?;
    Ok(Some(header))
}

/// Checks that a request may have `count` arguments.
#[inline]
pub(super) fn check_count(count: i64, limits: &RequestLimits) -> Result<(), ProtocolError> {
    if count <= limits.max_args {
        return Ok(());
    }
    Err(match limits.excess {
        Excess::Unauthenticated if count <= MAX_ARGS => ProtocolError::CountUnauthenticated,
        _ => ProtocolError::CountInvalid,
    })
}

/// Parses an argument's length at the start of `line`; it is never negative.
#[inline]
pub(super) fn bulk(
    search: &mut LineSearch,
    line: &[u8],
    limits: &RequestLimits,
) -> Result<Option<Header>, ProtocolError> {
    let header = match quick(*search, line, b'$') {
        Some(header) => header,
        None => match (full(search, line, ProtocolError::BulkTooBig)?, line.first()) {
            (Some(end), Some(b'$')) => {
                check_end(line, end, limits)?;
                parsed(line, end).ok_or(ProtocolError::BulkInvalid)?
            }
            (Some(_), Some(&got)) => return Err(ProtocolError::ExpectedBulk(got)),
            _ => return Ok(None),
        },
    };
    if header.value < 0 {
        return Err(ProtocolError::BulkInvalid);
    }
    if header.value > limits.max_bulk {
        return Err(match limits.excess {
            Excess::Unauthenticated if header.value <= MAX_BULK => {
                ProtocolError::BulkUnauthenticated
            }
            _ => ProtocolError::BulkInvalid,
        });
    }
    Ok(Some(header))
}

/// Checks that LF follows the CR at `end`, if the server does so.
fn check_end(line: &[u8], end: usize, limits: &RequestLimits) -> Result<(), ProtocolError> {
    let is_crlf = line.get(end.saturating_add(1)) == Some(&b'\n');
    if limits.crlf && !is_crlf { Err(ProtocolError::LineEnd) } else { Ok(()) }
}

/// Parses the usual case: a short line with CRLF that has arrived completely and was not searched before. `None`
/// means that the full search is needed.
#[inline]
fn quick(search: LineSearch, line: &[u8], lead: u8) -> Option<Header> {
    let (&first, rest) = line.split_first()?;
    if first != lead || search.begun() {
        return None;
    }
    let (value, digits) = integer::short_prefix(rest)?;
    let end = digits.saturating_add(1);
    let len = end.saturating_add(2);
    (line.get(end..len) == Some(b"\r\n")).then_some(Header { value, len })
}

/// Returns the offset of the CR of a complete line.
fn full(
    search: &mut LineSearch,
    line: &[u8],
    too_big: ProtocolError,
) -> Result<Option<usize>, ProtocolError> {
    match search.find(line, b'\r') {
        Line::TooBig => Err(too_big),
        Line::Ends(end) if end.saturating_add(1) < line.len() => Ok(Some(end)),
        _ => Ok(None),
    }
}

/// Parses the number between a line's first byte and its end.
fn parsed(line: &[u8], end: usize) -> Option<Header> {
    let value = integer::parse(line.get(1..end)?)?;
    Some(Header { value, len: end.saturating_add(2) })
}
