//! Passes on requests before they are complete.

use super::{Phase, RequestParser};
use crate::resp::{ProtocolError, RequestLimits};

/// The part of a request that [`RequestParser::stream`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streamed {
    /// Bytes of the input that belong to the request; the caller passes them on or discards them.
    pub len: usize,
    /// True if the request ends there.
    pub done: bool,
}

impl RequestParser {
    /// Passes a large request on piece by piece, instead of waiting until it is complete.
    ///
    /// After [`Parsed::Large`](super::Parsed::Large), the first `input` is the same as then; afterwards
    /// `input` starts at the byte after the last piece. An argument's length line is passed on only
    /// when it is complete: until then the caller keeps it and appends more. After `done` the parser is
    /// before its next request.
    ///
    /// # Errors
    /// The error that Redis sends before it closes the connection; a part of the request has
    /// been passed on by then.
    pub fn stream(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Streamed, ProtocolError> {
        if self.phase != Phase::Stream {
            debug_assert!(self.phase == Phase::Bulks, "stream called without a large request");
            self.phase = Phase::Stream;
            self.spans.clear();
            self.shrink();
            self.bulk = self.bulk.map(|len| len.saturating_add(2));
        }
        while self.left > 0 {
            let rest = match self.bulk {
                Some(rest) => rest,
                None => match self.bulk_length(input, limits)? {
                    Some(len) => len.saturating_add(2),
                    None => break,
                },
            };
            let present = input.len().saturating_sub(self.at);
            self.at = self.at.saturating_add(rest.min(present));
            if present < rest {
                self.bulk = Some(rest.saturating_sub(present));
                break;
            }
            self.bulk = None;
            self.left = self.left.saturating_sub(1);
        }
        let streamed = Streamed { len: self.at, done: self.left == 0 };
        self.at = 0;
        if streamed.done {
            self.phase = Phase::Start;
        }
        Ok(streamed)
    }
}
