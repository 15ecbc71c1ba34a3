//! The system log, with a socket of the test's in its place.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{assert_no_gaps, count, refused, stop};
use support::{Redis, Redoubt, TIME_LIMIT};

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("log")
}

fn listen(dir: &TempDir) -> UnixDatagram {
    let receiver = UnixDatagram::bind(socket(dir)).unwrap();
    receiver.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    receiver
}

/// Reads lines up to the first of `event`.
fn take(receiver: &UnixDatagram, event: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    let mut buffer = vec![0; 65536];
    while lines.last().is_none_or(|line| line["event"] != event) {
        let length = receiver.recv(&mut buffer).expect(event);
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (header, line) = text.split_once(" - {").expect(text);
        let header: Vec<_> = header.split(' ').collect();
        let [priority, _time, host, application, _process, message] = header[..] else {
            panic!("not a header: {header:?}");
        };
        let fields: Value = serde_json::from_str(&format!("{{{line}")).expect(line);
        let severity = match fields["event"].as_str().unwrap() {
            "command_refused" => "<84>1",
            "started" | "stopped" | "guard_changed" => "<85>1",
            _ => "<86>1",
        };
        assert_eq!((priority, host, application), (severity, "-", "redoubt"));
        assert_eq!(fields["event"], message);
        lines.push(fields);
    }
    lines
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_go_to_the_system_log_and_wait_while_it_is_unavailable() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let receiver = listen(&dir);
    let redoubt = Redoubt::setup(&redis)
        .set_text("audit.output", "syslog")
        .set_text("audit.syslog_socket", socket(&dir).to_str().unwrap())
        .start();
    // What is said of the guard comes before, so that nothing is on its way when the receiver goes.
    redoubt.wait_until_it_knows_its_server();
    drop(redoubt.session());
    let mut all = take(&receiver, "session_closed");
    drop(receiver);
    fs::remove_file(socket(&dir)).unwrap();
    redoubt.session().command(&["CONFIG", "GET", "x"]);
    redoubt.log().wait(|line| line.contains("audit log cannot be written")).expect("an error");
    let receiver = listen(&dir);
    all.extend(take(&receiver, "session_closed"));
    stop(redoubt);
    all.extend(take(&receiver, "stopped"));
    assert_no_gaps(&all);
    assert_eq!((count(&all, "session_opened"), count(&all, "command_refused")), (2, 1));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redoubt_does_not_start_if_the_system_log_is_missing() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let audit = format!("output = \"syslog\"\nsyslog_socket = {:?}", socket(&dir));
    let error = refused(&redis, &dir, &audit);
    assert!(error.contains("audit.syslog_socket: cannot use"), "{error}");
}
