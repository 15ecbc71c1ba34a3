//! The request parser: a state machine over the bytes a client has sent so far.

mod stream;

use std::fmt;

pub use stream::Streamed;

use super::line::{Line, LineSearch};
use super::view::{Extent, Request, Span};
use super::{header, inline};
use crate::resp::{ProtocolError, RequestLimits};

/// Number of spans that the parser keeps allocated between requests.
const KEPT_SPANS: usize = 64;

/// Bytes of decoded inline text that the parser keeps allocated between requests.
const KEPT_TEXT: usize = 1024;

/// Result of [`RequestParser::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The request is incomplete: the caller keeps all of the input and calls again with more appended.
    Incomplete,
    /// The input starts with an empty request (`*0`, a negative count or a blank line), which has no
    /// reply.
    Empty {
        /// Bytes of the input that the empty request takes.
        len: usize,
    },
    /// The input starts with a complete request; see [`RequestParser::request`].
    Request {
        /// Bytes of the input that the request takes.
        len: usize,
    },
    /// The request is over [`RequestLimits::stream_at`] and still incomplete. Either an argument is cut
    /// short by the end of the input or at least two are complete, so the policy can check name and
    /// subcommand; see [`RequestParser::request`], then [`RequestParser::stream`].
    Large,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The parser is before a request's first byte.
    Start,
    Inline,
    /// The parser is in the line with the argument count.
    Count,
    /// The parser is in the arguments.
    Bulks,
    /// The parser is in the arguments of a streamed request, whose first part has been passed on.
    Stream,
}

/// Finds requests in what a client sends, as the server does.
///
/// Call [`parse`](Self::parse) with all bytes received and not yet consumed. After
/// [`Parsed::Large`], call [`stream`](Self::stream) until it is done, or `parse` again with more
/// appended. After an error the connection is to be closed.
pub struct RequestParser {
    phase: Phase,
    /// Offset of the current line or bulk in the input.
    at: usize,
    search: LineSearch,
    /// Length of the argument at `at`, once its length line has been read. While streaming: bytes to
    /// pass on, including the line end.
    bulk: Option<usize>,
    declared: usize,
    /// Number of arguments that are not complete.
    left: usize,
    /// True if all line ends so far were CRLF.
    canonical: bool,
    extent: Extent,
    spans: Vec<Span>,
    /// Decoded arguments of an inline request.
    text: Vec<u8>,
}

impl RequestParser {
    /// Creates a parser before its first request.
    pub fn new() -> Self {
        Self {
            phase: Phase::Start,
            at: 0,
            search: LineSearch::default(),
            bulk: None,
            declared: 0,
            left: 0,
            canonical: true,
            extent: Extent::Whole,
            spans: Vec::new(),
            text: Vec::new(),
        }
    }

    /// Returns how many bytes of memory the parser has allocated for arguments.
    pub fn memory(&self) -> usize {
        self.spans.capacity().saturating_mul(size_of::<Span>()).saturating_add(self.text.capacity())
    }

    /// Looks for a request at the start of `input`. After [`Parsed::Incomplete`] or [`Parsed::Large`],
    /// `input` starts with the same bytes as before.
    ///
    /// An empty input between requests frees the memory of an unusually large request.
    ///
    /// An incomplete request is bounded: by one line of 64 KiB beyond the request's limits, or beyond
    /// `stream_at` and the segment that exceeded it.
    ///
    /// # Errors
    /// The error that Redis sends before it closes the connection; the same error at every
    /// further call.
    #[inline]
    pub fn parse(&mut self, input: &[u8], limits: &RequestLimits) -> Result<Parsed, ProtocolError> {
        debug_assert!(self.phase != Phase::Stream, "parse called while a request is streamed");
        if self.phase == Phase::Start {
            self.clear();
            self.phase = match input.first() {
                None => return Ok(Parsed::Incomplete),
                Some(b'*') => Phase::Count,
                Some(_) => Phase::Inline,
            };
        }
        if self.phase == Phase::Inline {
            return self.inline(input, limits);
        }
        if self.phase == Phase::Count {
            let Some(header) = header::count(&mut self.search, input, limits)? else {
                return Ok(Parsed::Incomplete);
            };
            self.pass_line(input, header.len);
            if header.value <= 0 {
                self.phase = Phase::Start;
                return Ok(Parsed::Empty { len: self.at });
            }
            self.declared = usize::try_from(header.value).unwrap_or(usize::MAX);
            self.left = self.declared;
            self.phase = Phase::Bulks;
        }
        self.bulks(input, limits)
    }

    /// Returns the request that [`parse`](Self::parse) has just reported for the same `input`, as
    /// [`Parsed::Request`] or [`Parsed::Large`].
    #[inline]
    pub fn request<'a>(&'a self, input: &'a [u8]) -> Request<'a> {
        let (declared, spans, extent) = (self.declared, self.spans.as_slice(), self.extent);
        // An inline request with only empty arguments has no text, and its spans are empty.
        let bytes = if self.text.is_empty() { input } else { self.text.as_slice() };
        let canonical = if self.canonical { input.get(..self.at) } else { None };
        Request { bytes, spans, declared, extent, canonical }
    }

    /// Frees the memory of an unusually large request, if no new request has begun.
    #[inline]
    pub fn release(&mut self) {
        if self.phase == Phase::Start {
            self.shrink();
        }
    }

    /// Resets the parser for the next request, and frees the memory of an unusually large one.
    #[inline]
    fn clear(&mut self) {
        self.at = 0;
        self.search = LineSearch::default();
        self.bulk = None;
        self.canonical = true;
        self.extent = Extent::Whole;
        self.spans.clear();
        self.text.clear();
        self.shrink();
    }

    /// Frees the memory of an unusually large request, which the caller no longer needs.
    #[inline]
    fn shrink(&mut self) {
        if self.spans.capacity() > KEPT_SPANS || self.text.capacity() > KEPT_TEXT {
            self.spans.clear();
            self.text.clear();
            self.spans.shrink_to(KEPT_SPANS);
            self.text.shrink_to(KEPT_TEXT);
        }
    }

    fn inline(&mut self, input: &[u8], limits: &RequestLimits) -> Result<Parsed, ProtocolError> {
        let end = match self.search.find(input, b'\n') {
            Line::Incomplete => return Ok(Parsed::Incomplete),
            Line::TooBig => return Err(ProtocolError::InlineTooBig),
            Line::Ends(end) => end,
        };
        let line = input.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.text.clear();
        self.spans.clear();
        inline::split(line, limits, &mut self.text, &mut self.spans)?;
        self.phase = Phase::Start;
        self.canonical = false;
        self.declared = self.spans.len();
        let len = end.saturating_add(1);
        Ok(if self.spans.is_empty() { Parsed::Empty { len } } else { Parsed::Request { len } })
    }

    #[inline]
    fn bulks(&mut self, input: &[u8], limits: &RequestLimits) -> Result<Parsed, ProtocolError> {
        if self.extent == Extent::Cut {
            self.spans.pop();
        }
        self.extent = Extent::Part;
        loop {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_length(input, limits)? {
                    Some(len) => len,
                    None => break,
                },
            };
            let end = self.at.saturating_add(len);
            let next = end.saturating_add(2);
            let Some(terminator) = input.get(end..next) else {
                self.bulk = Some(len);
                break;
            };
            let is_crlf = terminator == b"\r\n";
            if !is_crlf && limits.crlf {
                self.bulk = Some(len);
                return Err(ProtocolError::LineEnd);
            }
            self.canonical &= is_crlf;
            self.spans.push(Span { start: self.at, end });
            self.at = next;
            self.bulk = None;
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                self.phase = Phase::Start;
                self.extent = Extent::Whole;
                return Ok(Parsed::Request { len: next });
            }
        }
        if input.len() <= limits.stream_at {
            return Ok(Parsed::Incomplete);
        }
        if let Some(len) = self.bulk {
            let end = self.at.saturating_add(len).min(input.len());
            self.spans.push(Span { start: self.at, end });
            self.extent = Extent::Cut;
            return Ok(Parsed::Large);
        }
        Ok(if self.spans.len() >= 2 { Parsed::Large } else { Parsed::Incomplete })
    }

    /// Reads the length line at `at`, and moves `at` behind it.
    #[inline]
    fn bulk_length(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        let line = input.get(self.at..).unwrap_or_default();
        let Some(header) = header::bulk(&mut self.search, line, limits)? else { return Ok(None) };
        let len = usize::try_from(header.value).map_err(|_| ProtocolError::BulkInvalid)?;
        self.pass_line(line, header.len);
        Ok(Some(len))
    }

    /// Moves `at` behind the first `len` bytes of `line`.
    #[inline]
    fn pass_line(&mut self, line: &[u8], len: usize) {
        self.canonical &= line.get(len.saturating_sub(1)) == Some(&b'\n');
        self.at = self.at.saturating_add(len);
        self.search = LineSearch::default();
    }
}

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestParser")
            .field("phase", &self.phase)
            .field("at", &self.at)
            .field("declared", &self.declared)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
