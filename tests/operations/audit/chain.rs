//! The hash chain, and `redoubt audit verify`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::{REFUSED, count, lines, log, recording_each, refused, setup, stop, to_file};
use support::{Deadline, Redis, signal};

fn verify(files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["audit", "verify"]).args(files).output().unwrap()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_audit_chain_survives_rotation_and_a_kill_and_shows_changes() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || {
        recording_each(&redis, &dir)
            .set("audit.hash_chain", "true")
            .set_text("audit.max_size", "64kb")
            .start()
    };
    let mut redoubt = chained();
    let mut session = redoubt.session();
    for _ in 0..500 {
        session.command(&REFUSED);
    }
    signal(redoubt.pid(), "KILL");
    redoubt.wait();
    // The file ends as after a crash in the middle of a write.
    let mut text = fs::read(log(&dir)).unwrap();
    text.extend(b"{\"schema\":1,\"ti");
    fs::write(log(&dir), text).unwrap();
    stop(chained());
    let second = dir.path().join("audit.log.1");
    let third = dir.path().join("audit.log.2");
    let mut files: Vec<_> = [third, second, log(&dir)].into_iter().filter(|f| f.exists()).collect();
    assert!(files.len() > 1, "nothing was rotated");
    let whole = verify(&files);
    assert!(whole.status.success(), "{whole:?}");
    let all: Vec<_> = files.iter().flat_map(|file| lines(file)).collect();
    assert_eq!(count(&all, "log_repaired"), 1, "nothing says that half a line was cut off");

    let last = files.pop().unwrap();
    let good = fs::read_to_string(&last).unwrap();
    let mut removed: Vec<_> = good.lines().collect();
    removed.remove(1);
    let mut swapped: Vec<_> = good.lines().collect();
    swapped.swap(0, 1);
    let altered = good.replacen("\"uptime_ms\":", "\"uptime_ms\":1", 1);
    for bad in [removed.join("\n") + "\n", swapped.join("\n") + "\n", altered] {
        fs::write(&last, bad).unwrap();
        assert_eq!(verify(std::slice::from_ref(&last)).status.code(), Some(1));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_audit_chain_that_cannot_continue_begins_again_in_a_new_file() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || setup(&redis, &dir).set("audit.hash_chain", "true");
    let number = |number: u32| dir.path().join(format!("audit.log.{number}"));
    // The chain is enabled for a file with lines without it.
    stop(setup(&redis, &dir).start());
    let unchained = fs::read(log(&dir)).unwrap();
    stop(chained().start());
    assert_eq!(fs::read(number(1)).unwrap(), unchained);
    assert_eq!(count(&lines(&log(&dir)), "chain_started"), 1);
    assert!(verify(&[log(&dir)]).status.success());
    // The chain continues after a rotation by another program,
    fs::rename(log(&dir), number(1)).unwrap();
    stop(chained().start());
    assert_eq!(count(&lines(&log(&dir)), "chain_started"), 0);
    assert!(verify(&[number(1), log(&dir)]).status.success());
    // but not after a last line that was changed.
    let text = fs::read_to_string(log(&dir)).unwrap();
    let changed = text.replace("\"event\":\"stopped\"", "\"event\":\"session_opened\"");
    assert_ne!(changed, text);
    fs::write(log(&dir), &changed).unwrap();
    stop(chained().start());
    assert_eq!(fs::read_to_string(number(1)).unwrap(), changed);
    assert!(verify(&[log(&dir)]).status.success());
    let both = verify(&[number(1), log(&dir)]);
    let said = String::from_utf8(both.stdout).unwrap();
    assert!(both.status.code() == Some(1) && said.contains("audit.log.1:"), "{said}");
    // The old lines are kept.
    fs::write(log(&dir), &unchained).unwrap();
    let none = format!("{}\nhash_chain = true\nmax_files = 0", to_file(&dir));
    let error = refused(&redis, &dir, &none);
    assert!(error.contains("is in no chain"), "{error}");
    assert_eq!(fs::read(log(&dir)).unwrap(), unchained);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_removed_at_the_end_are_reported_by_verify_and_at_the_next_start() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || setup(&redis, &dir).set("audit.hash_chain", "true").start();
    let redoubt = chained();
    for _ in 0..3 {
        redoubt.session().command(&["CONFIG", "GET", "x"]);
    }
    stop(redoubt);
    let good = fs::read_to_string(log(&dir)).unwrap();
    let record = dir.path().join("audit.log.head");
    let head = fs::read(&record).unwrap();
    let whole = verify(&[log(&dir)]);
    let said = String::from_utf8(whole.stdout).unwrap();
    assert!(whole.status.success() && !said.contains("no record"), "{said}");
    let lines = good.lines().count();
    let first: String = good.lines().take(3).map(|line| format!("{line}\n")).collect();
    for (cut, left) in [(String::new(), 0), (first, 3)] {
        fs::write(log(&dir), &cut).unwrap();
        fs::write(&record, &head).unwrap();
        let found = verify(&[log(&dir)]);
        let said = String::from_utf8(found.stdout).unwrap();
        let wanted =
            format!(":{}: {} lines are missing at the end of this file", left + 1, lines - left);
        assert!(found.status.code() == Some(1) && said.contains(&wanted), "{said}");
        // The next start reports it, and verify goes on to the next file.
        let redoubt = chained();
        let missing = |line: &str| line.contains("lines are missing at the end of the audit log");
        assert!(redoubt.log().wait(missing).is_some());
        stop(redoubt);
        let all = super::lines(&log(&dir));
        let reported = all.iter().find(|line| line["event"] == "log_truncated").expect("an event");
        assert_eq!(reported["lines"], lines - left);
        let said = String::from_utf8(verify(&[log(&dir)]).stdout).unwrap();
        assert!(said.contains("found lines missing here when it started"), "{said}");
    }
    // An empty log without a record of earlier lines is not reported as complete.
    fs::write(log(&dir), "").unwrap();
    fs::remove_file(&record).unwrap();
    let empty = verify(&[log(&dir)]);
    let said = String::from_utf8(empty.stdout).unwrap();
    assert!(empty.status.code() == Some(1) && said.contains("no record"), "{said}");
    fs::write(log(&dir), good).unwrap();
    let said = String::from_utf8(verify(&[log(&dir)]).stdout).unwrap();
    assert!(said.contains("all valid; there is no record of where the last file ended"), "{said}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_audit_log_emptied_while_written_is_not_reported_as_complete() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir).set("audit.hash_chain", "true").start();
    redoubt.session().command(&["CONFIG", "GET", "x"]);
    let written = Deadline::standard().poll(|| count(&lines(&log(&dir)), "session_closed") == 1);
    assert!(written);
    fs::write(log(&dir), "").unwrap();
    redoubt.session().command(&["PING"]);
    stop(redoubt);
    let found = verify(&[log(&dir)]);
    let said = String::from_utf8(found.stdout).unwrap();
    assert!(
        found.status.code() == Some(1) && said.contains("lines before it are missing"),
        "{said}"
    );
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn rotated_audit_files_keep_the_record_of_their_end() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = recording_each(&redis, &dir)
        .set("audit.hash_chain", "true")
        .set_text("audit.max_size", "64kb")
        .start();
    let mut session = redoubt.session();
    for _ in 0..500 {
        session.command(&REFUSED);
    }
    stop(redoubt);
    let rotated = dir.path().join("audit.log.1");
    assert!(verify(&[rotated.clone(), log(&dir)]).status.success());
    let text = fs::read_to_string(&rotated).unwrap();
    let cut = text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    fs::write(&rotated, cut).unwrap();
    let found = verify(&[rotated]);
    let said = String::from_utf8(found.stdout).unwrap();
    assert!(found.status.code() == Some(1) && said.contains("1 lines are missing"), "{said}");
}
