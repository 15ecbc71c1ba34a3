//! What is left when all sessions have gone.

use std::time::Duration;

use support::{Deadline, Redis, Redoubt};

/// The most links besides the watch's that may stay for a while: a pool of 64 clean leases, and shared
/// ones for four databases, two protocols, and scripts in the first of them.
pub(crate) const MOST_LINKS: usize = 64 + 4 * 2 + 2;
/// Bytes by which a second round may leave the process larger than the first, since the allocator
/// gives memory back in its own time.
const ALLOWED_GROWTH: u64 = 32 << 20;
/// Longer than a link of no use is kept.
const LONG: Duration = Duration::from_secs(90);

/// What Redoubt holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Its connections, as Redis counts them.
    links: usize,
    /// Its open files, sockets included.
    files: usize,
    /// Its resident memory in bytes.
    memory: u64,
}

impl Figures {
    pub(crate) fn of(redis: &Redis, redoubt: &Redoubt) -> Self {
        let files = std::fs::read_dir(format!("/proc/{}/fd", redoubt.pid())).expect("its files");
        Self { links: redis.clients(), files: files.count(), memory: redoubt.rss() }
    }

    /// Whether no file is open beyond those of `before` but for links, of which there are at most
    /// `most` more.
    fn is_idle(&self, before: &Self, most: usize) -> bool {
        self.links <= before.links + most && self.files == before.files + self.links - before.links
    }
}

/// Waits until the sessions have left nothing but links to share.
pub(crate) fn wait(redis: &Redis, redoubt: &Redoubt, before: &Figures, most: usize) -> Figures {
    settle(Deadline::patient(), redis, redoubt, before, most)
}

/// Waits until not even those are left.
pub(crate) fn wait_long(redis: &Redis, redoubt: &Redoubt, before: &Figures) -> Figures {
    settle(Deadline::after(LONG), redis, redoubt, before, 0)
}

fn settle(
    deadline: Deadline,
    redis: &Redis,
    redoubt: &Redoubt,
    before: &Figures,
    most: usize,
) -> Figures {
    let mut figures = Figures::of(redis, redoubt);
    let idle = deadline.poll(|| {
        figures = Figures::of(redis, redoubt);
        figures.is_idle(before, most)
    });
    assert!(idle, "something is left: {before:?} before, {figures:?} now, {most} links allowed");
    figures
}

/// Holds that the last round left no more memory than the first.
pub(crate) fn no_growth(rounds: &[Figures]) {
    let (first, last) = (rounds.first().unwrap(), rounds.last().unwrap());
    assert!(last.memory <= first.memory + ALLOWED_GROWTH, "memory grows: {rounds:?}");
}

/// Holds that the log tells of no fault of Redoubt's own.
pub(crate) fn log_is_calm(redoubt: &Redoubt) {
    for line in redoubt.log().all() {
        assert!(!line.contains("\"level\":\"ERROR\""), "{line}");
        assert!(!line.contains("panicked"), "{line}");
    }
}

/// What a counter stands at, asked directly.
pub(crate) fn counter(redis: &Redis, key: &str) -> i64 {
    let reply = String::from_utf8(redis.direct().command(&["INCRBY", key, "0"])).unwrap();
    reply[1..].trim().parse().unwrap()
}
