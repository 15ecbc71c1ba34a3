//! The scanner's reports about a reply.

/// The type of a reply's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `+`, a simple string.
    SimpleString,
    /// `-`, an error on one line.
    Error,
    /// `:`.
    Integer,
    /// `$`, a string.
    Bulk,
    /// `*`.
    Array,
    /// `_`, and RESP2's `$-1` and `*-1`.
    Null,
    /// `#`.
    Bool,
    /// `,`.
    Double,
    /// `(`.
    BigNumber,
    /// `!`, an error of any length.
    BlobError,
    /// `=`, a string with its format.
    Verbatim,
    /// `%`.
    Map,
    /// `~`.
    Set,
    /// `>`, a message that answers no request.
    Push,
}

impl Kind {
    /// Returns true for both kinds of errors.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::BlobError)
    }
}

/// The first element of an array or a push, which gives the type of a pub/sub message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Head<'a> {
    /// The element has not arrived.
    Pending,
    /// A simple or bulk string of at most 16 bytes.
    Word(&'a [u8]),
    /// The element is another value or a longer string, or there is none.
    Other,
}

impl std::fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Word(_) => "Word(..)",
            Self::Other => "Other",
        })
    }
}
