//! The time limits of the checks.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The time limit of all steps together, as a multiple of the limit of one step.
const STEPS: u32 = 30;

/// A time limit for each step, and another for all steps together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    each: Duration,
    end: Instant,
}

impl Limit {
    /// Makes limits: `each` is for one name lookup, connection or reply; all steps together may
    /// take thirty times as long from now on.
    pub(super) fn new(each: Duration) -> Self {
        Self { each, end: Instant::now() + each.saturating_mul(STEPS) }
    }

    /// Returns the result of `step`, or [`io::ErrorKind::TimedOut`] if it took longer than the
    /// limit of a step. A step that had less time left returns another error, as its silence proves
    /// nothing.
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
        Err(io::Error::other("not done: the checks together have taken too long"))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn steps_and_their_sum_are_limited() {
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
