//! Redoubt cannot open more files.

use std::process::Command;

use crate::{lines_with, says};
use support::{Deadline, Redis, Redoubt};

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Sets the limit of open files of the process.
fn limit(pid: u32, most: usize) {
    let limited = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={most}:")])
        .status()
        .expect("prlimit is missing: apt-get install -y util-linux");
    assert!(limited.success(), "prlimit fails");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn running_out_of_descriptors_stops_only_new_connections_and_recovers() {
    const CANNOT: &str = "cannot accept connections";
    const OPENED: &str = "session opened";
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    let mut served = redoubt.session();
    assert_eq!(served.command(&["SET", "k", "v"]), b"+OK\r\n");
    limit(redoubt.pid(), open_files(redoubt.pid()) + 8);
    let mut crowd: Vec<_> = (0..50).map(|_| redoubt.connect()).collect();
    let line = says(&redoubt, CANNOT);
    assert!(line.contains("Too many open files"), "{line}");
    // The sessions that exist work, and a session that needs a lease is closed rather than left
    // waiting.
    assert_eq!(served.command(&["GET", "k"]), b"$1\r\nv\r\n");
    served.send(b"BLPOP nothing 0\r\n");
    assert_eq!(served.read_to_close(), b"");
    // Descriptors are freed one at a time and taken at once.
    for _ in 0..8 {
        let opened = lines_with(&redoubt, OPENED);
        drop(crowd.remove(0));
        let taken = Deadline::standard().poll(|| lines_with(&redoubt, OPENED) > opened);
        assert!(taken, "a free place is not taken");
    }
    assert!(lines_with(&redoubt, CANNOT) <= 3, "the log is flooded");
    drop(crowd);
    let healed = Deadline::standard().poll(|| {
        let mut wire = redoubt.connect();
        wire.offer(b"PING\r\n");
        wire.frame() == b"-NOAUTH Authentication required.\r\n"
    });
    assert!(healed, "it accepts again");
    redoubt.wait_until_ready();
    redoubt.wait_for_metric(crate::UNAVAILABLE, 1.0);
    assert!(redoubt.metric("process_open_fds") < redoubt.metric("process_max_fds"));
    redoubt.wait_until_it_serves();
}
