//! The search for the end of a line, as `strchr` on Redis's query buffer does it.

use memchr::memchr2;

use crate::resp::limits::MAX_LINE;

/// How far a line has been searched; kept between calls so that no byte is looked at twice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineSearch {
    seen: usize,
    stopped: bool,
}

/// What the search found.
pub(super) enum Line {
    /// No end yet.
    Incomplete,
    /// No end, and more bytes than may wait for one.
    TooBig,
    /// The mark is at this offset from the line's start.
    Ends(usize),
}

impl LineSearch {
    /// Returns whether a part of the line has been searched already.
    #[inline]
    pub(super) fn begun(self) -> bool {
        self.seen > 0 || self.stopped
    }

    /// Looks for `mark` in `line`, which begins at the line's first byte at every call.
    ///
    /// A NUL ends the search for good, as it ends a C string: Redis then waits until the line is
    /// too big. Redis looks at whatever happens to be in its buffer; here a mark later than
    /// [`MAX_LINE`] is never found, so that the outcome does not depend on the segments.
    pub(super) fn find(&mut self, line: &[u8], mark: u8) -> Line {
        let end = line.len().min(MAX_LINE.saturating_add(1));
        if !self.stopped
            && let Some(window) = line.get(self.seen..end)
        {
            match memchr2(mark, 0, window) {
                Some(offset) => {
                    self.seen = self.seen.saturating_add(offset);
                    if window.get(offset) == Some(&mark) {
                        return Line::Ends(self.seen);
                    }
                    self.stopped = true;
                }
                None => self.seen = end,
            }
        }
        if line.len() > MAX_LINE { Line::TooBig } else { Line::Incomplete }
    }
}
