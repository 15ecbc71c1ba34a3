//! `FLUSHDB` and `FLUSHALL` where they delete only the keys below a prefix.
//!
//! The program deletes these keys, over a connection of its own and in steps. The session waits meanwhile.

use bytes::Bytes;

use crate::resp::{Request, is_word, reply};

/// The databases in which a client wants the keys below the prefix to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// The session's own, for `FLUSHDB`.
    Database(u32),
    /// Every database, for `FLUSHALL`.
    All,
}

/// The outcome of a [`Flush`]; an error reply if it failed.
pub type Flushed = Result<(), Bytes>;

impl Flush {
    /// Returns the name of its command, in lower case.
    pub fn command(self) -> &'static str {
        match self {
            Self::Database(_) => "flushdb",
            Self::All => "flushall",
        }
    }

    /// Returns what the request for `command` wants deleted; `None` if its arguments are a syntax error, as in
    /// Redis from 6.2 on.
    pub(in crate::session) fn wanted(
        command: &str,
        request: &Request<'_>,
        database: u32,
    ) -> Option<Self> {
        let option = request.arg(1).unwrap_or_default();
        match request.declared() {
            1 => {}
            2 if is_word(option, b"async") || is_word(option, b"sync") => {}
            _ => return None,
        }
        Some(if command == "flushall" { Self::All } else { Self::Database(database) })
    }
}

/// Returns the error for `command` inside `MULTI`: the transaction would have to wait for many steps, between
/// which other clients' requests run.
pub(in crate::session) fn in_transaction(command: &str) -> Bytes {
    let name = command.to_ascii_uppercase();
    reply::error(
        format!(
            "ERR {name} is not possible inside MULTI: Redoubt deletes the keys below a prefix in steps \
             (policy.compat.flush)"
        )
        .as_bytes(),
    )
}
