//! Passes on requests before they are complete.

use super::{LineSearch, Phase, RequestParser, header};
use crate::resp::{ProtocolError, RequestLimits};

/// The part of a request that [`RequestParser::stream`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streamed {
    /// Bytes of the input that belong to the request; the caller passes them on or discards them.
    pub len: usize,
    /// The byte to pass on in place of the last of them: a part of CRLF, where the client has sent another
    /// byte that its server ignores. A server to which a link leads may not ignore it.
    pub last: Option<u8>,
    /// True if the request ends there.
    pub done: bool,
}

impl RequestParser {
    /// Passes a large request on piece by piece, instead of waiting until it is complete. The pieces are
    /// canonical multibulk.
    ///
    /// After [`Parsed::Large`](super::Parsed::Large), the first `input` is the same as then; afterwards
    /// `input` starts at the byte after the last piece. An argument's length line is passed on only
    /// when it is complete: until then the caller keeps it and appends more. A piece may end before its
    /// input does; the caller then calls again with the rest. After `done` the parser is before its next
    /// request.
    ///
    /// # Errors
    /// The error that Redis sends before it closes the connection; a part of the request has
    /// been passed on by then.
    pub fn stream(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Streamed, ProtocolError> {
        let mut last = None;
        if self.phase != Phase::Stream {
            debug_assert!(self.phase == Phase::Bulks, "stream called without a large request");
            self.phase = Phase::Stream;
            self.spans.clear();
            self.shrink();
            self.bulk = self.bulk.map(|len| len.saturating_add(2));
            if !self.canonical {
                last = self.begin_again(input, limits)?;
            }
        }
        while self.left > 0 && last.is_none() {
            let rest = match self.bulk {
                Some(rest) => rest,
                None => match self.bulk_length(input, limits)? {
                    Some(len) => {
                        last = self.line_end(input);
                        self.bulk = Some(len.saturating_add(2));
                        continue;
                    }
                    None => break,
                },
            };
            let end = self.at.saturating_add(rest);
            if input.get(end.saturating_sub(2)..end) == Some(b"\r\n") {
                self.at = end;
                self.bulk = None;
                self.left = self.left.saturating_sub(1);
                continue;
            }
            let left = input.get(self.at..).unwrap_or_default();
            let passed = match (rest, left) {
                (_, []) => break,
                (2, [end, ..]) if *end == b'\r' => 1,
                (2, [_]) if limits.crlf => break,
                (1, [end, ..]) if *end == b'\n' => 1,
                (1 | 2, _) if limits.crlf => return Err(ProtocolError::LineEnd),
                (1 | 2, _) => {
                    last = Some(if rest == 2 { b'\r' } else { b'\n' });
                    1
                }
                _ => rest.saturating_sub(2).min(left.len()),
            };
            self.at = self.at.saturating_add(passed);
            self.bulk = Some(rest.saturating_sub(passed)).filter(|rest| *rest > 0);
            if self.bulk.is_none() {
                self.left = self.left.saturating_sub(1);
            }
        }
        let streamed = Streamed { len: self.at, last, done: self.left == 0 };
        self.at = 0;
        if streamed.done {
            self.phase = Phase::Start;
        }
        Ok(streamed)
    }

    /// Returns to the beginning of a request of which a part is parsed, but not canonical.
    fn begin_again(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<u8>, ProtocolError> {
        (self.at, self.bulk, self.left) = (0, None, self.declared);
        self.search = LineSearch::default();
        let header = header::count(&mut self.search, input, limits)?;
        self.pass_line(input, header.map_or(0, |header| header.len));
        Ok(self.line_end(input))
    }

    /// Returns what to pass on in place of the last byte of the line before `at`, if it is not LF.
    fn line_end(&self, input: &[u8]) -> Option<u8> {
        let end = input.get(self.at.saturating_sub(1));
        (end != Some(&b'\n')).then_some(b'\n')
    }
}
