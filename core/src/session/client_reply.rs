//! `CLIENT REPLY ON|OFF|SKIP`, kept by Redoubt itself.
//!
//! Redis still answers every command, and Redoubt drops what the client does not want. So the reply
//! queues always hold what the link will bring, and a link needs no cleaning afterwards.

use crate::resp::is_word;

/// Which replies the client wants, as Redis's flags CLIENT_REPLY_OFF, _SKIP and _SKIP_NEXT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ReplyMode {
    /// All of them.
    #[default]
    On,
    /// None until `CLIENT REPLY ON`.
    Off,
    /// All but the next command's; set by the command that is running.
    SkipNext,
    /// Not the running command's.
    Skip,
}

impl ReplyMode {
    /// Returns whether the reply to the running command reaches the client.
    pub(super) fn visible(self) -> bool {
        matches!(self, Self::On | Self::SkipNext)
    }

    /// Called after every request, empty ones included, as Redis's `resetClient`.
    pub(super) fn request_done(&mut self) {
        *self = match *self {
            Self::SkipNext => Self::Skip,
            Self::Skip => Self::On,
            other => other,
        };
    }

    /// Runs `CLIENT REPLY word`. Returns the mode's answer: `Some(true)` for `+OK`, `Some(false)`
    /// for silence, `None` for a syntax error.
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
    fn skip_hides_exactly_the_next_reply() {
        let mut mode = ReplyMode::default();
        assert_eq!(mode.set(b"SKIP"), Some(false));
        mode.request_done();
        assert!(!mode.visible());
        mode.request_done();
        assert!(mode.visible());
    }

    #[test]
    fn off_lasts_and_swallows_skip() {
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
