//! The limits that Redis sets for a request, which change when a client authenticates.

/// Most arguments that Redis 7.0 accepts in one request.
pub(super) const MAX_ARGS: i64 = i32::MAX as i64;

/// Largest argument in bytes: the default of Redis's `proto-max-bulk-len`.
pub(super) const MAX_BULK: i64 = 512 * 1024 * 1024;

/// Most bytes of a line without its end: Redis's `PROTO_INLINE_MAX_SIZE`.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// The limits in force for a request. Callers pass them at every call because they change at `AUTH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most arguments in a request, the name included.
    pub max_args: i64,
    /// Largest argument, in bytes.
    pub max_bulk: i64,
    /// A request of more bytes than this that is still incomplete is reported as
    /// [`Parsed::Large`](super::Parsed::Large). A command's name and its subcommand must fit well
    /// within it, so that they are always whole when the request is reported.
    pub stream_at: usize,
    /// True if lengths and arguments must end with CRLF, as Valkey demands from 9.1 on. Others accept any
    /// byte after a length's CR, and any two bytes after an argument.
    pub crlf: bool,
    /// The error for a number over `max_args` or `max_bulk`.
    pub excess: Excess,
}

/// The error for a number over the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Redis's errors `invalid multibulk length` and `invalid bulk length`.
    Invalid,
    /// Redis's errors `unauthenticated multibulk length` and `unauthenticated bulk length`. A number
    /// over the limits of authenticated clients still gets the `invalid` errors.
    Unauthenticated,
}

impl RequestLimits {
    /// Limits before `AUTH`: 10 arguments of 16 KiB each, and no streaming.
    pub const UNAUTHENTICATED: Self = Self {
        max_args: 10,
        max_bulk: 16 * 1024,
        stream_at: usize::MAX,
        crlf: false,
        excess: Excess::Unauthenticated,
    };

    /// The same limits for a server that checks line ends.
    pub const UNAUTHENTICATED_CRLF: Self = Self { crlf: true, ..Self::UNAUTHENTICATED };

    /// Default limits after `AUTH`: 2^31 - 1 arguments of 512 MiB each; requests over 64 KiB are
    /// streamed.
    pub const AUTHENTICATED: Self = Self {
        max_args: MAX_ARGS,
        max_bulk: MAX_BULK,
        stream_at: 64 * 1024,
        crlf: false,
        excess: Excess::Invalid,
    };
}
