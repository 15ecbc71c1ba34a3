//! A request's arguments, borrowed from the input.

use std::fmt;

use bytes::BytesMut;

use crate::resp::encode_command;

/// The place of an argument in the bytes that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How much of a request has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of the request has arrived.
    Whole,
    /// Some arguments have arrived completely; more follow.
    Part,
    /// The last argument present is cut short.
    Cut,
}

/// A request's arguments, the command's name first.
///
/// For a [`Parsed::Large`](super::Parsed::Large) request these are the arguments that have arrived.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The bytes that the spans point into: the input, or the decoded text of an inline request.
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a [Span],
    pub(super) declared: usize,
    pub(super) extent: Extent,
    /// The request as received, if it is canonical multibulk.
    pub(super) canonical: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Returns how many arguments the client announced, the name included.
    pub fn declared(&self) -> usize {
        self.declared
    }

    /// Returns how many arguments are present; fewer than [`declared`](Self::declared) in a large request.
    #[expect(clippy::len_without_is_empty, reason = "a request has a name")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns true if the last argument present is cut short: its rest, or only its line end, has not
    /// arrived.
    pub fn is_cut(&self) -> bool {
        self.extent == Extent::Cut
    }

    /// Returns the argument at `index`; the name has index 0.
    #[inline]
    pub fn arg(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| slice(self.bytes, span))
    }

    /// Returns the command's name as the client wrote it.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.arg(0).unwrap_or_default()
    }

    /// Returns the arguments present, the name first.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| slice(bytes, span))
    }

    /// Appends the request in multibulk form to `out`: as received if that is canonical, otherwise
    /// encoded anew (it was inline, or a line did not end with CRLF, which Redis does not check).
    ///
    /// This is for complete requests; nothing is appended for a large one, which
    /// [`RequestParser::stream`](super::RequestParser::stream) passes on.
    pub fn write_to(&self, out: &mut BytesMut) {
        debug_assert_eq!(self.extent, Extent::Whole);
        match self.canonical {
            _ if self.extent != Extent::Whole => {}
            Some(received) => out.extend_from_slice(received),
            None => encode_command(self.args(), out),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("declared", &self.declared)
            .field("len", &self.len())
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

#[inline]
fn slice<'a>(bytes: &'a [u8], span: &Span) -> &'a [u8] {
    bytes.get(span.start..span.end).unwrap_or_default()
}
