//! Commands that are sent together, and the answers to them.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::types::OwnedFrame;

use crate::resp::{encode_command, reply};

/// A decoded reply.
pub type Answer = OwnedFrame;

/// Commands to be sent together; each has one reply.
#[derive(Default)]
pub struct Batch {
    bytes: BytesMut,
    len: usize,
}

impl Batch {
    /// One with this command in it.
    pub fn of<W: AsRef<[u8]>>(words: &[W]) -> Self {
        let mut batch = Self::default();
        batch.add(words);
        batch
    }

    /// Adds a command.
    pub fn add<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        encode_command(words.iter().map(AsRef::as_ref), &mut self.bytes);
        self.len = self.len.saturating_add(1);
    }

    /// What is to be sent. It may hold a secret.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many replies there will be.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Why no guard could be made or no user audited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Redis is up but cannot say now, as while a script overruns: to be tried again.
    #[error("upstream cannot be asked now: {0}")]
    Later(String),
    /// Redis does not let this user, or does not have what it takes.
    #[error("{0}")]
    Refused(String),
    /// An answer that Redis does not give. What gave it may not be there for long, as while one
    /// Redis takes another's place behind an address.
    #[error("{0}: the answer makes no sense")]
    Nonsense(String),
}

impl GuardError {
    /// Most characters of Redis's text that are kept.
    const MAX_TEXT: usize = 200;

    /// What Redis's error `text`, given to `what`, comes to.
    pub fn from_redis(what: &str, text: &str) -> Self {
        let shown: String = text.escape_debug().take(Self::MAX_TEXT).collect();
        match text.split(' ').next().unwrap_or_default() {
            "BUSY" | "LOADING" | "MASTERDOWN" | "MISCONF" | "OOM" | "TRYAGAIN" | "CLUSTERDOWN" => {
                Self::Later(shown)
            }
            _ => Self::Refused(format!("{what}: {shown}")),
        }
    }

    /// An answer to `what` that makes no sense.
    pub(super) fn nonsense(what: &str) -> Self {
        Self::Nonsense(what.to_owned())
    }

    /// The reply that clients are to get to what waits meanwhile, where Redis has no time for anybody.
    pub fn passing(&self) -> Option<Bytes> {
        let Self::Later(text) = self else { return None };
        let code = text.split(' ').next().unwrap_or_default();
        let passes = matches!(code, "BUSY" | "LOADING" | "MASTERDOWN");
        // The text is escaped for the log; Redis's own has quotes.
        passes.then(|| reply::error(text.replace("\\'", "'").as_bytes()))
    }

    /// Whether what stands there now does not do what was asked, and another way may be tried.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Later(_))
    }
}

/// Whether the answer to `what` is `OK`.
///
/// # Errors
/// Redis's error, or an answer that makes no sense.
pub(super) fn is_ok(what: &str, answer: &Answer) -> Result<(), GuardError> {
    match answer {
        Answer::SimpleString(text) if text == b"OK" => Ok(()),
        Answer::Error(text) => Err(GuardError::from_redis(what, text)),
        _ => Err(GuardError::nonsense(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_its_commands() {
        let mut batch = Batch::of(&["ACL", "WHOAMI"]);
        batch.add(&["PING"]);
        assert_eq!((batch.len(), batch.is_empty()), (2, false));
        assert_eq!(batch.bytes(), b"*2\r\n$3\r\nACL\r\n$6\r\nWHOAMI\r\n*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        let busy = GuardError::from_redis("ACL LIST", "BUSY Redis is busy running a script.");
        assert_eq!(busy, GuardError::Later("BUSY Redis is busy running a script.".into()));
        assert_eq!(busy.passing().unwrap(), "-BUSY Redis is busy running a script.\r\n");
        let down =
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
        let passing = GuardError::from_redis("ACL LIST", down).passing();
        assert_eq!(passing.unwrap(), format!("-{down}\r\n"));
        assert_eq!(GuardError::from_redis("ACL LIST", "OOM no memory").passing(), None);
        let denied = GuardError::from_redis("ACL LIST", "NOPERM this user\nhas no permissions");
        assert_eq!(denied.to_string(), "ACL LIST: NOPERM this user\\nhas no permissions");
    }
}
