//! Resources that are left when all sessions have ended.

use std::time::Duration;

use support::{Deadline, Redis, Redoubt};

/// Most links besides the watch's that may stay for a while: a pool of 64 clean leases, and shared
/// links for four databases, two protocols, and scripts in the first of them.
pub(crate) const MOST_LINKS: usize = 64 + 4 * 2 + 2;
/// Bytes by which a second round may leave the process larger than the first, since the allocator
/// returns memory with a delay.
const ALLOWED_GROWTH: u64 = 32 << 20;
/// A time longer than an unused link is kept.
const LONG: Duration = Duration::from_secs(90);

/// The resources that Redoubt holds.
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

    /// Returns true if no file is open beyond those of `before` except links, of which there are at
    /// most `most` more.
    fn is_idle(&self, before: &Self, most: usize) -> bool {
        self.links <= before.links + most && self.files == before.files + self.links - before.links
    }
}

/// Waits until the sessions have left nothing but shared links.
pub(crate) fn wait(redis: &Redis, redoubt: &Redoubt, before: &Figures, most: usize) -> Figures {
    wait_until_idle(Deadline::standard(), redis, redoubt, before, most)
}

/// Waits until the shared links are closed, too.
pub(crate) fn wait_long(redis: &Redis, redoubt: &Redoubt, before: &Figures) -> Figures {
    wait_until_idle(Deadline::after(LONG), redis, redoubt, before, 0)
}

fn wait_until_idle(
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

/// Checks that the last round left no more memory than the first.
pub(crate) fn assert_no_growth(rounds: &[Figures]) {
    let (first, last) = (rounds.first().unwrap(), rounds.last().unwrap());
    assert!(last.memory <= first.memory + ALLOWED_GROWTH, "memory grows: {rounds:?}");
}

/// Checks that the log has no line about a defect of Redoubt.
pub(crate) fn assert_no_defect_logged(redoubt: &Redoubt) {
    for line in redoubt.log().all() {
        assert!(!line.contains("\"level\":\"ERROR\""), "{line}");
        assert!(!line.contains("panicked"), "{line}");
    }
}

/// Returns the value of a counter, asked of Redis directly.
pub(crate) fn counter(redis: &Redis, key: &str) -> i64 {
    let reply = String::from_utf8(redis.direct().command(&["INCRBY", key, "0"])).unwrap();
    reply[1..].trim().parse().unwrap()
}
