//! `CLIENT REPLY ON|OFF|SKIP`, handled by Redoubt.
//!
//! Redis still answers every command, and Redoubt drops the replies that the client does not want. So
//! the queue of pending replies always matches what the link sends, and a link needs no cleaning
//! afterwards.

use crate::resp::is_word;

/// Which replies the client wants, as Redis's flags CLIENT_REPLY_OFF, _SKIP and _SKIP_NEXT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ReplyMode {
    /// The client wants all replies.
    #[default]
    On,
    /// The client wants no replies until `CLIENT REPLY ON`.
    Off,
    /// The client does not want the reply to the next command; the running command sets this.
    SkipNext,
    /// The client does not want the reply to the running command.
    Skip,
}

impl ReplyMode {
    /// Returns true if the client gets the reply to the running command.
    pub(super) fn visible(self) -> bool {
        matches!(self, Self::On | Self::SkipNext)
    }

    /// Ends a request, also an empty one, as Redis's `resetClient` does.
    pub(super) fn request_done(&mut self) {
        *self = match *self {
            Self::SkipNext => Self::Skip,
            Self::Skip => Self::On,
            other => other,
        };
    }

    /// Runs `CLIENT REPLY word`. Returns `Some(true)` if the reply is `+OK`, `Some(false)` if there is
    /// none, `None` for a syntax error.
    pub(super) fn set(&mut self, word: &[u8]) -> Option<bool> {
        if is_word(word, b"on") {
            *self = Self::On;
            Some(true)
        } else if is_word(word, b"off") {
            *self = Self::Off;
            Some(false)
        } else if is_word(word, b"skip") {
            if *self != Self::Off {
                *self = Self::SkipNext;
            }
            Some(false)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_reply_skip_hides_exactly_the_next_reply() {
        let mut mode = ReplyMode::default();
        assert_eq!(mode.set(b"SKIP"), Some(false));
        mode.request_done();
        assert!(!mode.visible());
        mode.request_done();
        assert!(mode.visible());
    }

    #[test]
    fn client_reply_off_lasts_until_on_and_overrides_skip() {
        let mut mode = ReplyMode::default();
        mode.set(b"off");
        mode.request_done();
        mode.set(b"skip");
        mode.request_done();
        mode.request_done();
        assert!(!mode.visible());
        assert_eq!(mode.set(b"on"), Some(true));
        assert!(mode.visible());
        assert_eq!(mode.set(b"maybe"), None);
    }
}
