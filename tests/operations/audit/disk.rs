//! The audit log cannot be written: the disk is full, the file has its largest size, nobody reads.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Command;
use std::thread;

use super::{REFUSED, assert_no_gaps, count, lines, log, parsed, recording_each, stop};
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, Wire, frame};

/// A number of refused commands that fills the queue and the buffers after it.
const MANY: usize = 3000;

fn refuse(session: &mut Wire, count: usize) {
    for _ in 0..count {
        assert!(session.command(&REFUSED).starts_with(b"-ERR unknown command"));
    }
}

/// Waits until all events of one session are written, and all earlier ones.
fn wait_for_all(file: &Path) {
    let written = |text: String| text.contains("command_refused") && text.contains("guard_changed");
    assert!(Deadline::standard().poll(|| fs::read_to_string(file).is_ok_and(written)));
}

fn limit_files(redoubt: &Redoubt, most: &str) {
    let pid = redoubt.pid().to_string();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={most}:")]).status();
    assert!(limited.expect("apt-get install -y util-linux").success());
}

/// Checks that clients are not affected, so that `/readyz` reports ready, and that the metrics count
/// the failures.
fn reports_failures(redoubt: &Redoubt) {
    redoubt.wait_for_metric("redoubt_audit_write_errors_total", 1.0);
    redoubt.wait_until_ready();
}

fn says(redoubt: &Redoubt, text: &str) -> String {
    redoubt.log().wait(|line| line.contains(text)).expect(text)
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_audit_file_at_its_size_limit_loses_no_line_and_does_not_stop_the_process() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = recording_each(&redis, &dir).start();
    let mut session = redoubt.session();
    refuse(&mut session, 1);
    wait_for_all(&log(&dir));
    // The next line begins and does not end.
    let most = fs::metadata(log(&dir)).unwrap().len() + 100;
    limit_files(&redoubt, &most.to_string());
    refuse(&mut session, 1);
    let line = says(&redoubt, "audit log cannot be written");
    assert!(line.contains("File too large"), "{line}");
    let text = fs::read_to_string(log(&dir)).unwrap();
    assert!(text.len() as u64 == most && !text.ends_with('\n'), "{text}");
    refuse(&mut session, 500);
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    reports_failures(&redoubt);
    limit_files(&redoubt, "unlimited");
    says(&redoubt, "audit log is written again");
    stop(redoubt);
    let lines = lines(&log(&dir));
    assert_no_gaps(&lines);
    assert_eq!(count(&lines, "command_refused"), 502);
    assert_eq!(lines.last().unwrap()["event"], "stopped");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_audit_log_that_cannot_grow_blocks_clients_or_counts_dropped_lines() {
    for on_full in ["block", "drop"] {
        let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
        let redoubt = recording_each(&redis, &dir)
            .set_text("audit.on_full", on_full)
            .set("audit.queue", 100)
            .start();
        let mut session = redoubt.session();
        refuse(&mut session, 1);
        wait_for_all(&log(&dir));
        // The next line fits, and a few more.
        let most = fs::metadata(log(&dir)).unwrap().len() + 1000;
        limit_files(&redoubt, &most.to_string());
        session.send(&frame::request(&REFUSED).repeat(MANY));
        says(&redoubt, "audit log cannot be written");
        let free = || limit_files(&redoubt, "unlimited");
        is_full(&redoubt, on_full);
        if on_full == "block" {
            free();
        }
        for _ in 0..MANY {
            assert!(session.frame().starts_with(b"-ERR unknown command"));
        }
        if on_full == "drop" {
            redoubt.wait_for_metric("redoubt_audit_dropped_total", 1.0);
            free();
        }
        says(&redoubt, "audit log is written again");
        reports_failures(&redoubt);
        drop(session);
        stop(redoubt);
        let lines = lines(&log(&dir));
        assert_no_gaps(&lines);
        let dropped = lines.iter().filter_map(|line| line["count"].as_u64()).sum::<u64>();
        // The end of the session may be among the dropped events.
        let (reported, all) = (count(&lines, "command_refused") as u64, MANY as u64 + 1);
        match on_full {
            "block" => assert_eq!((reported, dropped), (all, 0)),
            _ => assert!(
                dropped > 0 && reported < all && (all..all + 2).contains(&(reported + dropped))
            ),
        }
        assert_eq!(lines.last().unwrap()["event"], "stopped");
    }
}

/// Checks that clients wait, or that they are served while lines are dropped.
fn is_full(redoubt: &Redoubt, on_full: &str) {
    let waits = if on_full == "block" { "clients wait" } else { "events are dropped" };
    says(redoubt, waits);
    match on_full {
        "block" => redoubt.wait_until_clients_wait(),
        _ => reports_failures(redoubt),
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_full_disk_is_named_in_the_log() {
    for on_full in ["block", "drop"] {
        let redis = Redis::start();
        let redoubt = Redoubt::setup(&redis)
            .set_text("audit.output", "file")
            .set_text("audit.file", "/dev/full")
            .set_text("audit.keys", "plain")
            .set_text("audit.on_full", on_full)
            .set("audit.queue", 100)
            .start();
        let mut session = redoubt.session();
        session.send(&frame::request(&REFUSED).repeat(MANY));
        let line = says(&redoubt, "audit log cannot be written");
        assert!(line.contains("No space left on device"), "{line}");
        is_full(&redoubt, on_full);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_to_standard_output_resume_when_it_is_read_again() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let pipe = log(&dir);
    let made = Command::new("mkfifo").arg(&pipe).status().expect("apt-get install -y coreutils");
    assert!(made.success());
    let reader = {
        let pipe = pipe.clone();
        thread::spawn(move || BufReader::new(File::open(pipe).unwrap()))
    };
    let script = format!("exec \"$@\" >'{}'", pipe.display());
    let to_stdout =
        |setup: Setup| setup.set_text("audit.output", "stdout").set_text("audit.keys", "plain");
    let redoubt = to_stdout(Redoubt::setup(&redis)).through(&["sh", "-c", &script, "sh"]).start();
    let mut reader = reader.join().unwrap();
    let mut session = redoubt.session();
    refuse(&mut session, 1);
    let mut text = String::new();
    while !(text.contains("command_refused") && text.contains("guard_changed")) {
        assert_ne!(reader.read_line(&mut text).unwrap(), 0, "{text}");
    }
    drop(reader);
    refuse(&mut session, 20);
    let line = says(&redoubt, "audit log cannot be written");
    assert!(line.contains("Broken pipe"), "{line}");
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    reports_failures(&redoubt);
    let mut reader = File::open(&pipe).unwrap();
    says(&redoubt, "audit log is written again");
    stop(redoubt);
    reader.read_to_string(&mut text).unwrap();
    let lines = parsed(&text);
    assert_no_gaps(&lines);
    assert_eq!(count(&lines, "command_refused"), 21);
    assert_eq!(lines.last().unwrap()["event"], "stopped");
}
