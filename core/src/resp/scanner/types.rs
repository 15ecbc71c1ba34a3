//! What a scanner says of a reply.

/// The type of a reply's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `+`, a status.
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
    /// Returns whether it is an error, of either form.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::BlobError)
    }
}

/// The first element of an array or a push, which says what a pub/sub message is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Head<'a> {
    /// It has not arrived yet.
    Pending,
    /// A simple or bulk string of at most 16 bytes.
    Word(&'a [u8]),
    /// Another value, a longer string, or there is none.
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
