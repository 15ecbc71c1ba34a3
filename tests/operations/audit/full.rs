//! A log that nobody takes: a pipe in the place of the file, which the system stops filling.

use std::fs;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{assert_no_gaps, count, log, parsed, setup};
use support::{Deadline, PATIENCE, Redis, Redoubt, Wire, signal};

/// More refused commands than fit into the pipe, what is being written, and the queue.
const MANY: usize = 3000;

/// A Redoubt with a queue of 100 whose audit log goes to a pipe.
pub(crate) fn start(redis: &Redis, dir: &TempDir, on_full: &str) -> Redoubt {
    let made = Command::new("mkfifo").arg(log(dir)).status().expect("apt install coreutils");
    assert!(made.success());
    let setup = setup(redis, dir).set_text("audit.on_full", on_full).set("audit.queue", 100);
    setup.set("workers", 2).set_text("shutdown_timeout", "2s").start()
}

/// Asks for `count` commands that are refused, without waiting for replies.
fn send(session: &mut Wire, count: usize) {
    session.send(&b"CONFIG GET x\r\n".repeat(count));
}

/// Waits until clients are not served any more, which is for good while nobody takes the log.
fn wait_until_clients_wait(redoubt: &Redoubt, idle: &mut Wire) {
    redoubt.log().wait(|line| line.contains("clients wait")).expect("a warning");
    assert!(Deadline::patient().poll(|| !is_served(idle)));
}

fn is_served(session: &mut Wire) -> bool {
    session.send(b"PING\r\n");
    session.be_patient(Duration::from_millis(300));
    let served = session.try_receive().is_some();
    session.be_patient(PATIENCE);
    served
}

fn take(session: &mut Wire, count: usize) {
    for _ in 0..count {
        assert!(session.frame().starts_with(b"-ERR unknown command"));
    }
}

/// Has [`MANY`] commands refused, fewer at a time than the queue holds.
pub(crate) fn fill(session: &mut Wire) {
    for _ in 0..MANY / 50 {
        send(session, 50);
        take(session, 50);
    }
}

/// Takes the log until Redoubt has ended.
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
#[cfg_attr(feature = "redis-stands-in", ignore = "asks for what only Redoubt has")]
fn with_block_clients_wait_until_there_is_room_and_nothing_is_lost() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = start(&redis, &dir, "block");
    let (mut idle, mut session) = (redoubt.session(), redoubt.session());
    send(&mut session, MANY);
    wait_until_clients_wait(&redoubt, &mut idle);
    let mut new = redoubt.connect();
    assert!(!is_served(&mut new), "it is served though nothing can be written");
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
#[cfg_attr(feature = "redis-stands-in", ignore = "asks for what only Redoubt has")]
fn with_drop_clients_go_on_and_what_is_lost_is_counted() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = start(&redis, &dir, "drop");
    let mut session = redoubt.session();
    fill(&mut session);
    redoubt.log().wait(|line| line.contains("events are dropped")).expect("a warning");
    let said = |line: &&String| line.contains("events are dropped");
    assert_eq!(redoubt.log().all().iter().filter(said).count(), 1, "once for a row of them");
    let reader = read(&dir);
    drop(session);
    let lines = end(redoubt, reader);
    let (told, written): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line["event"] == "events_dropped");
    let dropped: u64 = told.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert!(dropped > 0);
    // What is not refused: start, guard, the session's two, its end, stop.
    assert_eq!(written.len() as u64 + dropped, MANY as u64 + 6, "{written:?}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "asks for what only Redoubt has")]
fn a_stop_does_not_wait_for_ever_for_a_log_that_nobody_takes() {
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
