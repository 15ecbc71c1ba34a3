//! The limits that Redis puts on a request, which change when a client authenticates.

/// Most arguments Redis 7.0 takes in one request.
pub(super) const MAX_ARGS: i64 = i32::MAX as i64;

/// Largest argument in bytes: Redis's default `proto-max-bulk-len`.
pub(super) const MAX_BULK: i64 = 512 * 1024 * 1024;

/// Longest line in bytes that may wait for its end: Redis's `PROTO_INLINE_MAX_SIZE`.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Which of Redis's limits hold now; passed at every call because they change at `AUTH`.
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
    /// What a number over `max_args` or `max_bulk` is called.
    pub excess: Excess,
}

/// Which error a number over the limits gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// `invalid multibulk length`, `invalid bulk length`.
    Invalid,
    /// `unauthenticated multibulk length`, `unauthenticated bulk length`; numbers over the limits
    /// of authenticated clients are `invalid` all the same.
    Unauthenticated,
}

impl RequestLimits {
    /// Before `AUTH`: 10 arguments, 16 KiB each, nothing streamed.
    pub const UNAUTHENTICATED: Self = Self {
        max_args: 10,
        max_bulk: 16 * 1024,
        stream_at: usize::MAX,
        excess: Excess::Unauthenticated,
    };

    /// After `AUTH`, where nothing else is configured: 2^31 - 1 arguments, 512 MiB each, streamed
    /// over 64 KiB.
    pub const AUTHENTICATED: Self = Self {
        max_args: MAX_ARGS,
        max_bulk: MAX_BULK,
        stream_at: 64 * 1024,
        excess: Excess::Invalid,
    };
}
