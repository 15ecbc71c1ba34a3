//! The Redis wire protocol: strict request parsing, reply scanning, replies of Redoubt's own.
//!
//! Owns: where a request or a reply ends, what its parts are, and the bytes of Redoubt's own replies.
//! Leaves to others: what a request means ([`crate::command`]), whether it may run ([`crate::policy`])
//! and who gets which reply ([`crate::session`]).
//!
//! Invariants:
//! - Requests are accepted and rejected as Redis 7.0's networking.c does, by the same checks in the
//!   same order, and with the same error bytes.
//! - The outcome does not depend on how the bytes were divided into segments, and the cost is linear in
//!   the number of bytes for any division: no byte of a line is searched twice.
//! - The parser holds no bytes of a multibulk request, and the scanner at most one length line and one
//!   short word. What they allocate is bounded by the input that the caller holds.
//! - Only replies to Redoubt's own requests are decoded, by redis-protocol, and only after their bytes,
//!   their depth and their number of values have been checked.
//! - No `Debug` here shows an argument.

mod decode;
mod encode;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod integer;
mod limits;
mod protocol;
pub mod reply;
mod request;
mod scanner;
mod word;

pub use decode::{DecodeError, Reply, ReplyDecoder};
pub use encode::{encode_command, encode_request};
pub use error::{ProtocolError, ReplyError};
pub use limits::{Excess, RequestLimits};
pub use protocol::Protocol;
pub use request::{Parsed, Request, RequestParser, Streamed};
pub(crate) use scanner::whole;
pub use scanner::{Head, Kind, Part, ReplyScanner, Scan};
pub use word::is_word;
