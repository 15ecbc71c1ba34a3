//! A log that nobody reads: a pipe in the place of the file, which the system stops filling.

use std::fs;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{REFUSED, assert_no_gaps, count, log, parsed, recording_each};
use support::{Deadline, Redis, Redoubt, TIME_LIMIT, Wire, frame, signal};

/// A number of refused commands that fills the pipe, the line being written, and the queue.
const MANY: usize = 3000;

/// Starts a Redoubt with a queue of 100 whose audit log goes to a pipe.
pub(crate) fn start(redis: &Redis, dir: &TempDir, on_full: &str) -> Redoubt {
    let made = Command::new("mkfifo").arg(log(dir)).status().expect("apt install coreutils");
    assert!(made.success());
    let setup =
        recording_each(redis, dir).set_text("audit.on_full", on_full).set("audit.queue", 100);
    setup.set("workers", 2).set_text("shutdown_timeout", "2s").start()
}

/// Sends `count` commands that are refused, without waiting for replies.
fn send(session: &mut Wire, count: usize) {
    session.send(&frame::request(&REFUSED).repeat(count));
}

/// Waits until clients are no longer served, which lasts as long as nobody reads the log.
fn wait_until_clients_wait(redoubt: &Redoubt, idle: &mut Wire) {
    redoubt.log().wait(|line| line.contains("clients wait")).expect("a warning");
    assert!(Deadline::standard().poll(|| !is_served(idle)));
}

fn is_served(session: &mut Wire) -> bool {
    session.send(b"PING\r\n");
    session.set_time_limit(Duration::from_millis(300));
    let served = session.try_receive().is_some();
    session.set_time_limit(TIME_LIMIT);
    served
}

fn take(session: &mut Wire, count: usize) {
    for _ in 0..count {
        assert!(session.frame().starts_with(b"-ERR unknown command"));
    }
}

/// Sends [`MANY`] refused commands, fewer at a time than the queue holds.
pub(crate) fn fill(session: &mut Wire) {
    for _ in 0..MANY / 50 {
        send(session, 50);
        take(session, 50);
    }
}

/// Reads the log until Redoubt has ended.
pub(crate) fn read(dir: &TempDir) -> JoinHandle<Vec<Value>> {
    let path = log(dir);
    thread::spawn(move || parsed(&fs::read_to_string(path).unwrap()))
}

fn end(mut redoubt: Redoubt, reader: JoinHandle<Vec<Value>>) -> Vec<Value> {
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    let lines = reader.join().unwrap();
    assert_no_gaps(&lines);
    assert_eq!(lines.last().unwrap()["event"], "stopped");
    lines
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn with_on_full_block_clients_wait_and_no_audit_line_is_lost() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = start(&redis, &dir, "block");
    let (mut idle, mut session) = (redoubt.session(), redoubt.session());
    send(&mut session, MANY);
    wait_until_clients_wait(&redoubt, &mut idle);
    let mut new = redoubt.connect();
    assert!(!is_served(&mut new), "the client is served although no audit line can be written");
    let opened = redoubt.log().all().iter().filter(|l| l.contains("session opened")).count();
    assert_eq!(opened, 2, "a connection is accepted though nothing can be written");
    let reader = read(&dir);
    take(&mut session, MANY);
    assert!(is_served(&mut idle));
    new.expect(b"-NOAUTH Authentication required.\r\n");
    drop((idle, session, new));
    let lines = end(redoubt, reader);
    assert_eq!(count(&lines, "command_refused"), MANY);
    assert_eq!(count(&lines, "session_opened"), 3);
    assert_eq!(count(&lines, "session_closed"), 3);
    assert_eq!(count(&lines, "events_dropped"), 0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn with_on_full_drop_clients_continue_and_dropped_lines_are_counted() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = start(&redis, &dir, "drop");
    // The line about the guard is one of those that are counted below.
    redoubt.wait_until_ready();
    let mut session = redoubt.session();
    fill(&mut session);
    redoubt.log().wait(|line| line.contains("events are dropped")).expect("a warning");
    let said = |line: &&String| line.contains("events are dropped");
    assert_eq!(redoubt.log().all().iter().filter(said).count(), 1, "dropped lines are logged once");
    let reader = read(&dir);
    drop(session);
    let lines = end(redoubt, reader);
    let (reported, written): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line["event"] == "events_dropped");
    let dropped: u64 = reported.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert!(dropped > 0);
    // Six events are no refusals: start, guard, the session's two, its end, stop.
    assert_eq!(written.len() as u64 + dropped, MANY as u64 + 6, "{written:?}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_does_not_wait_for_ever_for_an_unread_audit_log() {
    for on_full in ["drop", "block"] {
        let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
        let mut redoubt = start(&redis, &dir, on_full);
        let (mut idle, mut session) = (redoubt.session(), redoubt.session());
        match on_full {
            "drop" => fill(&mut session),
            _ => {
                send(&mut session, MANY);
                wait_until_clients_wait(&redoubt, &mut idle);
            }
        }
        signal(redoubt.pid(), "TERM");
        assert_eq!(redoubt.wait().code(), Some(0));
        let said = redoubt.log().wait(|line| line.contains("before the whole audit log"));
        assert!(said.is_some(), "{on_full}");
    }
}
