//! Header lines: the argument count and an argument's length, checked in Redis's order.

use super::line::{Line, LineSearch};
use crate::resp::limits::{MAX_ARGS, MAX_BULK};
use crate::resp::{Excess, ProtocolError, RequestLimits, integer};

/// A complete header line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Its number.
    pub(super) value: i64,
    /// Its bytes: up to the CR, and the byte after it, which Redis does not look at.
    pub(super) len: usize,
}

/// Reads the argument count at the start of `line`; 0 or negative is a request of nothing.
#[inline]
pub(super) fn count(
    search: &mut LineSearch,
    line: &[u8],
    limits: &RequestLimits,
) -> Result<Option<Header>, ProtocolError> {
    let header = match quick(*search, line, b'*') {
        Some(header) => header,
        None => match full(search, line, ProtocolError::CountTooBig)? {
            Some(end) => parsed(line, end).ok_or(ProtocolError::CountInvalid)?,
            None => return Ok(None),
        },
    };
    check_count(header.value, limits)?;
    Ok(Some(header))
}

/// Returns whether a request may have so many arguments.
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

/// Reads an argument's length at the start of `line`; never negative.
#[inline]
pub(super) fn bulk(
    search: &mut LineSearch,
    line: &[u8],
    limits: &RequestLimits,
) -> Result<Option<Header>, ProtocolError> {
    let header = match quick(*search, line, b'$') {
        Some(header) => header,
        None => match (full(search, line, ProtocolError::BulkTooBig)?, line.first()) {
            (Some(end), Some(b'$')) => parsed(line, end).ok_or(ProtocolError::BulkInvalid)?,
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

/// The usual case: a short line that is all there and was not searched before. `None` leaves it
/// to the full search.
#[inline]
fn quick(search: LineSearch, line: &[u8], lead: u8) -> Option<Header> {
    let (&first, rest) = line.split_first()?;
    if first != lead || search.begun() {
        return None;
    }
    let (value, digits) = integer::short_prefix(rest)?;
    let end = digits.saturating_add(1);
    let len = end.saturating_add(2);
    (line.get(end) == Some(&b'\r') && line.len() >= len).then_some(Header { value, len })
}

/// Returns where the CR of a complete line is.
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

/// The number between a line's first byte and its end.
fn parsed(line: &[u8], end: usize) -> Option<Header> {
    let value = integer::parse(line.get(1..end)?)?;
    Some(Header { value, len: end.saturating_add(2) })
}
