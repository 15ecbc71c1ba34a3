//! Searches for the end of a line, as `strchr` on Redis's query buffer does.

use memchr::memchr2;

use crate::resp::limits::MAX_LINE;

/// How far a line has been searched. The caller keeps it between calls so that no byte is searched
/// twice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineSearch {
    seen: usize,
    stopped: bool,
}

/// Result of the search.
pub(super) enum Line {
    /// The end has not arrived.
    Incomplete,
    /// The end has not arrived, and the line has more bytes than are allowed.
    TooBig,
    /// The line ends at this offset from its start.
    Ends(usize),
}

impl LineSearch {
    /// Returns true if a part of the line has been searched already.
    #[inline]
    pub(super) fn begun(self) -> bool {
        self.seen > 0 || self.stopped
    }

    /// Searches `line` for `mark`; at every call `line` starts with the line's first byte.
    ///
    /// A NUL ends the search for good, as it ends a C string: Redis then waits until the line is too
    /// big. Redis looks at whatever its buffer holds; here a mark after [`MAX_LINE`] is never found, so
    /// that the outcome does not depend on the segments.
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
