//! The effect of the number in a length line.

use super::{ReplyScanner, State};
use crate::resp::ReplyError;
use crate::resp::scanner::element::MAX_WORD;
use crate::resp::scanner::types::Kind;

impl ReplyScanner {
    /// Handles the number of a complete length line or integer.
    #[inline]
    pub(super) fn number(&mut self, lead: u8, number: i64) -> Result<(), ReplyError> {
        self.state = State::Value;
        if lead == b':' {
            self.integer = Some(number);
            self.constant(Kind::Integer);
            return Ok(());
        }
        if number == -1 && matches!(lead, b'$' | b'*') {
            self.constant(Kind::Null);
            return Ok(());
        }
        let count = u64::try_from(number).map_err(|_| ReplyError::Number)?;
        let kind = match lead {
            b'$' => Kind::Bulk,
            b'!' => Kind::BlobError,
            b'=' => Kind::Verbatim,
            b'*' => Kind::Array,
            b'~' => Kind::Set,
            b'>' if self.kind.is_none() => Kind::Push,
            b'%' => Kind::Map,
            // An attribute, or a push within a reply (as in a transaction that publishes to its own
            // connection), is not an element of the value around it.
            b'>' => {
                self.interrupted = true;
                self.left = self.left.checked_add(count).ok_or(ReplyError::TooMany)?;
                return Ok(());
            }
            _ => {
                let values = count.checked_mul(2).ok_or(ReplyError::TooMany)?;
                self.left = self.left.checked_add(values).ok_or(ReplyError::TooMany)?;
                return Ok(());
            }
        };
        match kind {
            Kind::Bulk | Kind::BlobError | Kind::Verbatim => {
                self.open(kind, 0, kind == Kind::Bulk && count <= MAX_WORD as u64);
                self.state = State::Body(count.saturating_add(2));
            }
            _ => {
                let each = if kind == Kind::Map { 2 } else { 1 };
                let values = count.checked_mul(each).ok_or(ReplyError::TooMany)?;
                self.open(kind, values, false);
                self.left = self.left.checked_add(values).ok_or(ReplyError::TooMany)?;
                self.close();
            }
        }
        Ok(())
    }
}
