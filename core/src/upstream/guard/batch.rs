//! Commands that are sent together, and their replies.

use bytes::{Bytes, BytesMut};

pub use crate::resp::Reply as Answer;
use crate::resp::{DecodeError, Protocol, ReplyDecoder, encode_request, reply};

/// Commands that are sent together; each has one reply.
#[derive(Default)]
pub struct Batch {
    bytes: BytesMut,
    len: usize,
}

impl Batch {
    /// Creates a batch of one command.
    pub fn of<W: AsRef<[u8]>>(words: &[W]) -> Self {
        let mut batch = Self::default();
        batch.add(words);
        batch
    }

    /// Adds a command.
    pub fn add<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        encode_request(&words, &mut self.bytes);
        self.len = self.len.saturating_add(1);
    }

    /// Returns the bytes to send. They may contain a secret.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of replies that are expected.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if the batch has no command.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The replies to a [`Batch`] on a link that uses RESP2. The caller passes it the bytes that arrive
/// until it returns all replies or an error.
#[derive(Debug)]
pub struct Answers {
    replies: ReplyDecoder,
    all: Vec<Answer>,
    wanted: usize,
}

/// Why the replies to a batch are unusable; the caller closes the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswersError {
    /// A reply is invalid or too large.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More replies arrived than commands were sent.
    #[error("there is a reply too many")]
    TooMany,
}

impl Answers {
    /// Most bytes of the replies to one batch. A Redis whose replies are larger, as with tens of
    /// thousands of users, is not supported.
    pub const MAX_BYTES: usize = 16 << 20;

    /// Creates the reader of the replies to `batch`.
    pub fn to(batch: &Batch) -> Self {
        let replies = ReplyDecoder::new(Self::MAX_BYTES);
        Self { replies, all: Vec::with_capacity(batch.len), wanted: batch.len }
    }

    /// Reads bytes. Returns the replies, in order, when all have arrived.
    ///
    /// # Errors
    /// [`AnswersError`]
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<Vec<Answer>>, AnswersError> {
        self.replies.buffer().extend_from_slice(input);
        while self.all.len() < self.wanted {
            let Some(answer) = self.replies.next(Protocol::Resp2)? else { return Ok(None) };
            self.all.push(answer);
        }
        let is_over = self.replies.is_empty();
        if is_over { Ok(Some(std::mem::take(&mut self.all))) } else { Err(AnswersError::TooMany) }
    }
}

/// Why no guard could be created or no user checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Redis cannot answer now, as while a script overruns; the caller tries again later.
    #[error("upstream cannot be asked now: {0}")]
    Later(String),
    /// Redis does not take a rule of an identity; the text has the rule's place in the configuration.
    #[error("{0}")]
    Rule(String),
    /// Redis does not permit this to the user, or does not support it.
    #[error("{0}")]
    Refused(String),
    /// The reply does not fit the command. Another server may answer soon, as when one Redis replaces
    /// another behind an address.
    #[error("{0}: the answer makes no sense")]
    Nonsense(String),
}

impl GuardError {
    /// Most characters of Redis's text that are kept.
    const MAX_TEXT: usize = 200;

    /// Returns the error that follows from Redis's error `text` in reply to `what`.
    pub fn from_redis(what: &str, text: &str) -> Self {
        let shown: String = text.escape_debug().take(Self::MAX_TEXT).collect();
        match text.split(' ').next().unwrap_or_default() {
            "BUSY" | "LOADING" | "MASTERDOWN" | "MISCONF" | "OOM" | "TRYAGAIN" | "CLUSTERDOWN" => {
                Self::Later(shown)
            }
            _ => Self::Refused(format!("{what}: {shown}")),
        }
    }

    /// Returns the error for a reply to `what` that does not fit.
    pub(super) fn nonsense(what: &str) -> Self {
        Self::Nonsense(what.to_owned())
    }

    /// Returns the error that waiting clients get, if Redis has no time for any client.
    pub fn passing(&self) -> Option<Bytes> {
        let Self::Later(text) = self else { return None };
        let code = text.split(' ').next().unwrap_or_default();
        let passes = matches!(code, "BUSY" | "LOADING" | "MASTERDOWN");
        // The text is escaped for the log; Redis's own text contains quotes.
        passes.then(|| reply::error(text.replace("\\'", "'").as_bytes()))
    }

    /// Returns true if the server has answered that it cannot do what was asked, so that the caller may
    /// try another way.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Later(_))
    }
}

/// Checks that the reply to `what` is `OK`.
///
/// # Errors
/// Redis's error, or a reply that does not fit.
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
    fn answers_are_returned_when_all_have_arrived_and_an_extra_one_is_an_error() {
        let mut batch = Batch::of(&["ACL", "WHOAMI"]);
        batch.add(&["PING"]);
        let replies = b"$7\r\ndefault\r\n+PONG\r\n";
        let mut answers = Answers::to(&batch);
        let (last, before) = replies.split_last().unwrap();
        assert!(before.iter().all(|byte| answers.receive(&[*byte]) == Ok(None)));
        let pong = Answer::SimpleString(b"PONG".to_vec());
        let all = vec![Answer::BulkString(b"default".to_vec()), pong];
        assert_eq!(answers.receive(&[*last]), Ok(Some(all)));
        let more = [replies.as_slice(), b"+"].concat();
        assert_eq!(Answers::to(&batch).receive(&more), Err(AnswersError::TooMany));
        let nonsense = Answers::to(&batch).receive(b"HTTP/1.1 400 Bad Request\r\n");
        assert!(matches!(nonsense, Err(AnswersError::Decode(_))));
    }

    #[test]
    fn temporary_guard_errors_are_retried_and_lasting_ones_are_not() {
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
