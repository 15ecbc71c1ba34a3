//! The reply scanner: finds the end of a frame without keeping, decoding or recursing into it.

mod number;

use std::fmt;

use memchr::memchr;

use super::element::FirstElement;
use super::types::{Head, Kind};
use crate::resp::{ReplyError, integer};

/// Bytes for a length line without its first byte: 20 digits and CRLF.
const MAX_LINE: usize = integer::MAX_LEN + 2;

/// Result of [`ReplyScanner::scan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// Bytes of the input that belong to the current frame.
    pub len: usize,
    /// True if the frame ends there.
    pub done: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The scanner is at a value's first byte.
    Value,
    /// The scanner is in the line after this first byte; the line is kept in `line`.
    Line(u8),
    /// The scanner is in a line that it does not keep; `cr` is true if the last byte so far is CR.
    Text { cr: bool },
    /// The same for the line of an error.
    ErrorText { cr: bool },
    /// The scanner is in a string of which this many bytes are missing, CRLF included.
    Body(u64),
}

/// Result of [`ReplyScanner::scan_part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the input that belong to the current frame, and are of one kind.
    pub scan: Scan,
    /// True if these bytes are text of an error line, without its `-`, and with its end if that is reached.
    pub is_error_text: bool,
}

/// Finds where replies end in the bytes from Redis, RESP2 and RESP3.
///
/// A single counter of missing values replaces a stack, so depth costs nothing. A frame is a top-level
/// value together with the attributes before it.
///
/// After an error the caller closes the connection.
pub struct ReplyScanner {
    /// Values that are missing; 0 between frames.
    left: u64,
    state: State,
    kind: Option<Kind>,
    first: FirstElement,
    integer: Option<i64>,
    interrupted: bool,
    line: [u8; MAX_LINE],
    line_len: u8,
}

impl ReplyScanner {
    /// Creates a scanner before its first frame.
    pub fn new() -> Self {
        Self {
            left: 0,
            state: State::Value,
            kind: None,
            first: FirstElement::new(),
            integer: None,
            interrupted: false,
            line: [0; MAX_LINE],
            line_len: 0,
        }
    }

    /// Scans `input`, which follows the bytes that earlier calls consumed, up to the end of the current
    /// frame.
    ///
    /// Consumes all of `input` unless the frame ends in it; the next call then begins a new frame.
    ///
    /// # Errors
    /// The bytes are not a valid reply.
    #[inline]
    pub fn scan(&mut self, input: &[u8]) -> Result<Scan, ReplyError> {
        if input.is_empty() {
            return Ok(Scan { len: 0, done: false });
        }
        self.begin();
        let mut rest = input;
        loop {
            rest = self.run(rest)?;
            if self.left == 0 || rest.is_empty() {
                break;
            }
            rest = self.error_text(rest);
        }
        Ok(Scan { len: input.len().saturating_sub(rest.len()), done: self.left == 0 })
    }

    /// Does the same, but stops before the text of an error line, at any depth, and after it.
    ///
    /// # Errors
    /// As [`ReplyScanner::scan`].
    #[inline]
    pub fn scan_part(&mut self, input: &[u8]) -> Result<Part, ReplyError> {
        if input.is_empty() {
            return Ok(Part { scan: Scan { len: 0, done: false }, is_error_text: false });
        }
        self.begin();
        let is_error_text = self.is_in_error_text();
        let rest = if is_error_text { self.error_text(input) } else { self.run(input)? };
        let len = input.len().saturating_sub(rest.len());
        Ok(Part { scan: Scan { len, done: self.left == 0 }, is_error_text })
    }

    /// Begins a frame, unless one has begun.
    #[inline]
    fn begin(&mut self) {
        if self.left == 0 {
            self.left = 1;
            self.kind = None;
            self.first.reset();
            self.integer = None;
            self.interrupted = false;
        }
    }

    /// Scans up to the end of the frame, or the text of an error line. Returns the bytes behind that.
    #[inline]
    fn run<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        while self.left > 0 && !rest.is_empty() {
            rest = match self.state {
                State::Value => self.value(rest)?,
                State::Line(lead) => self.line(lead, rest)?,
                State::Text { cr } => self.text(cr, rest),
                State::Body(left) => self.body(left, rest)?,
                State::ErrorText { .. } => return Ok(rest),
            };
        }
        Ok(rest)
    }

    /// Scans the text of an error line, up to its end.
    #[cold]
    fn error_text<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while let State::ErrorText { cr } = self.state
            && !rest.is_empty()
        {
            rest = self.text(cr, rest);
            if let State::Text { cr } = self.state {
                self.state = State::ErrorText { cr };
            }
        }
        rest
    }

    /// Returns the type of the top-level value of the current or last frame, once it is known.
    #[inline]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Returns the first element of the current or last frame.
    pub fn head(&self) -> Head<'_> {
        self.first.head()
    }

    /// Returns the last integer (`:`) of the current or last frame, at any depth.
    #[inline]
    pub fn last_integer(&self) -> Option<i64> {
        self.integer
    }

    /// Returns true if the text of an error line has begun and has not ended.
    pub fn is_in_error_text(&self) -> bool {
        matches!(self.state, State::ErrorText { .. })
    }

    /// Returns true if a push has begun within the current or last frame.
    #[inline]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Scans a value's first byte.
    #[inline]
    fn value<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        let Some((&lead, after)) = rest.split_first() else { return Ok(rest) };
        let kind = match lead {
            b'+' => Kind::SimpleString,
            b'-' => {
                self.open(Kind::Error, 0, false);
                self.state = State::ErrorText { cr: false };
                return Ok(after);
            }
            b',' => Kind::Double,
            b'(' => Kind::BigNumber,
            b'$' | b'*' | b':' | b'_' | b'#' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => {
                return self.quick_line(lead, after);
            }
            b';' | b'.' => return Err(ReplyError::Streamed),
            other => return Err(ReplyError::Type(other)),
        };
        self.open(kind, 0, kind == Kind::SimpleString);
        self.state = State::Text { cr: false };
        Ok(after)
    }

    /// Scans the usual case: a short line that has arrived completely.
    #[inline]
    fn quick_line<'a>(&mut self, lead: u8, after: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        let (number, len) = match integer::prefix(after) {
            Some(found) => found,
            None if after.starts_with(b"-1\r\n") => (-1, 2),
            None => (0, 0),
        };
        let end = len.saturating_add(2);
        if len > 0
            && !matches!(lead, b'_' | b'#')
            && after.get(len..end) == Some(b"\r\n".as_slice())
        {
            self.number(lead, number)?;
            return Ok(after.get(end..).unwrap_or_default());
        }
        self.state = State::Line(lead);
        self.line_len = 0;
        Ok(after)
    }

    /// Scans a line that is kept until it is complete.
    fn line<'a>(&mut self, lead: u8, rest: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        let Some((&byte, after)) = rest.split_first() else { return Ok(rest) };
        let len = usize::from(self.line_len);
        let Some(slot) = self.line.get_mut(len) else { return Err(ReplyError::Number) };
        *slot = byte;
        self.line_len = self.line_len.saturating_add(1);
        if byte != b'\n' {
            return Ok(after);
        }
        let line = self.line;
        let line = line.get(..len).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(ReplyError::Terminator)?;
        match (lead, line) {
            (b'_', b"") => self.constant(Kind::Null),
            (b'#', b"t" | b"f") => self.constant(Kind::Bool),
            (b'_' | b'#', _) => return Err(ReplyError::Constant),
            (_, b"?") if lead != b':' => return Err(ReplyError::Streamed),
            _ => self.number(lead, integer::parse(line).ok_or(ReplyError::Number)?)?,
        }
        Ok(after)
    }

    fn constant(&mut self, kind: Kind) {
        self.open(kind, 0, false);
        self.close();
    }

    /// Starts a value of a known type that has `values` values in it; it may be the head if `string` is
    /// true.
    #[inline]
    fn open(&mut self, kind: Kind, values: u64, string: bool) {
        if self.kind.is_none() && self.left == 1 {
            self.kind = Some(kind);
            self.first.expect(if matches!(kind, Kind::Array | Kind::Push) { values } else { 0 });
        } else {
            self.first.begin(self.left, string);
        }
    }

    /// Counts a value that has ended.
    #[inline]
    fn close(&mut self) {
        self.state = State::Value;
        self.left = self.left.saturating_sub(1);
        self.first.end();
    }

    /// Scans a line that is not kept; it ends at CRLF.
    fn text<'a>(&mut self, cr: bool, rest: &'a [u8]) -> &'a [u8] {
        if cr && rest.first() == Some(&b'\n') {
            self.close();
            return rest.get(1..).unwrap_or_default();
        }
        if cr {
            self.first.copy(b"\r");
        }
        let (text, after, cr) = match memchr(b'\r', rest) {
            Some(at) => {
                let (text, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
                (text, after.get(1..).unwrap_or_default(), true)
            }
            None => (rest, &[][..], false),
        };
        self.first.copy(text);
        self.state = State::Text { cr };
        after
    }

    /// Scans a string of which `left` bytes are missing, CRLF included.
    #[inline]
    fn body<'a>(&mut self, left: u64, rest: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        let data = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX);
        if let Some((data, after)) = rest.split_at_checked(data)
            && let Some(after) = after.strip_prefix(b"\r\n")
            && left >= 2
        {
            self.first.copy(data);
            self.close();
            return Ok(after);
        }
        let (now, after) = rest.split_at_checked(data.max(1)).unwrap_or((rest, &[]));
        match (left, now) {
            (2, b"\r") | (1, b"\n") => {}
            (1 | 2, _) => return Err(ReplyError::Terminator),
            _ => self.first.copy(now),
        }
        match left.saturating_sub(now.len() as u64) {
            0 => self.close(),
            left => self.state = State::Body(left),
        }
        Ok(after)
    }
}

impl Default for ReplyScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReplyScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyScanner")
            .field("left", &self.left)
            .field("state", &self.state)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
