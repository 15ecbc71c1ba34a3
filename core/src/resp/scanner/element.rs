//! The first element of an array or a push, kept when it is a short string.

use super::types::Head;

/// Longest first element that is kept, in bytes.
pub(super) const MAX_WORD: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first element has not begun; it begins when this many values are left. The number is 0 while
    /// it is unknown.
    Due(u64),
    Copied,
    Word,
    Other,
}

/// Finds the first element and keeps it.
pub(super) struct FirstElement {
    state: State,
    word: [u8; MAX_WORD],
    len: u8,
}

impl FirstElement {
    pub(super) fn new() -> Self {
        Self { state: State::Due(0), word: [0; MAX_WORD], len: 0 }
    }

    /// Starts a new frame.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.state = State::Due(0);
    }

    /// Sets that the top-level value holds `values` values; 0 if its first element does not matter.
    #[inline]
    pub(super) fn expect(&mut self, values: u64) {
        self.state = if values > 0 { State::Due(values) } else { State::Other };
    }

    /// Starts a value when `left` values are left; its text may be kept if `string` is true.
    #[inline]
    pub(super) fn begin(&mut self, left: u64, string: bool) {
        if self.state == State::Due(left) {
            self.state = if string { State::Copied } else { State::Other };
            self.len = 0;
        }
    }

    /// Ends a value.
    #[inline]
    pub(super) fn end(&mut self) {
        if self.state == State::Copied {
            self.state = State::Word;
        }
    }

    /// Adds `text` to the value that was started last.
    #[inline]
    pub(super) fn copy(&mut self, text: &[u8]) {
        if self.state != State::Copied {
            return;
        }
        let start = usize::from(self.len);
        let end = start.saturating_add(text.len());
        match (self.word.get_mut(start..end), u8::try_from(end)) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text);
                self.len = len;
            }
            _ => self.state = State::Other,
        }
    }

    pub(super) fn head(&self) -> Head<'_> {
        match self.state {
            State::Due(_) | State::Copied => Head::Pending,
            State::Word => Head::Word(self.word.get(..usize::from(self.len)).unwrap_or_default()),
            State::Other => Head::Other,
        }
    }
}
