//! How long anything may take.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The most that the whole may take, in single steps.
const STEPS: u32 = 30;

/// A bound on each step, and one on all of them together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    each: Duration,
    end: Instant,
}

impl Limit {
    /// `each` is the most that finding an address, connecting or one reply may take; the whole may
    /// take thirty times as long from now on.
    pub(super) fn new(each: Duration) -> Self {
        Self { each, end: Instant::now() + each.saturating_mul(STEPS) }
    }

    /// Returns what `step` gives, or [`io::ErrorKind::TimedOut`] when it has had its time. One for which
    /// there was less has another error, as its silence proves nothing.
    pub(super) async fn hold<T>(self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let now = Instant::now();
        if now < self.end
            && let Ok(result) = timeout_at((now + self.each).min(self.end), step).await
        {
            return result;
        }
        if Instant::now() < self.end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Err(io::Error::other("not done: the whole has taken too long"))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_step_is_cut_short_and_so_is_the_whole() {
        let each = Duration::from_millis(3);
        let start = Instant::now();
        let limit = Limit::new(each);
        let mut steps = 0;
        while limit.hold(async { Ok(()) }).await.is_ok() {
            let begun = Instant::now();
            let error = limit.hold(pending::<io::Result<()>>()).await.unwrap_err();
            if error.kind() == io::ErrorKind::TimedOut {
                assert!(begun.elapsed() >= each);
            }
            steps += 1;
        }
        assert!(start.elapsed() >= each * STEPS);
        assert!(steps <= STEPS, "{steps}");
    }
}
