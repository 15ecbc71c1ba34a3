//! The audit file: its permissions, its content, and which process owns it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{
    REFUSED, assert_no_gaps, count, lines, log, recording_each, refused, setup, stop, to_file,
};
use support::redoubt::Setup;
use support::{Deadline, Redis};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_second_process_cannot_write_the_same_audit_file() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let _first = setup(&redis, &dir).start();
    let error = refused(&redis, &dir, &to_file(&dir));
    assert!(error.contains("in use by another process"), "{error}");
    assert!(error.contains("a file of its own, also where they share an address"), "{error}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_file_that_is_not_an_audit_log_is_not_changed() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    stop(setup(&redis, &dir).start());
    let good = fs::read(log(&dir)).unwrap();
    let with = |more: &[u8]| [&good, more].concat();
    for foreign in [
        b"no newline, so all of it is half a line".to_vec(),
        b"{\"some\":\"json\"}\n".to_vec(),
        b"{\"some\":\"json\"}".to_vec(),
        vec![b'x'; 100_000],
        with(b"a note that somebody made"),
        with(b"a note that somebody made\n"),
        with(b"{\"schema\":1,\"time\":\"2026\0\0\0\0"),
        with(b"{\"schema\":1,\"time\":\"2026\"}\n"),
    ] {
        fs::write(log(&dir), &foreign).unwrap();
        let error = refused(&redis, &dir, &to_file(&dir));
        assert!(error.contains("does not end as an audit log does"), "{error}");
        assert_eq!(fs::read(log(&dir)).unwrap(), foreign);
    }
    fs::write(log(&dir), with(b"{\"schema\":1,\"ti")).unwrap();
    stop(setup(&redis, &dir).start());
    assert!(fs::read(log(&dir)).unwrap().starts_with(&good));
    assert!(lines(&log(&dir)).iter().any(|line| line["event"] == "log_repaired"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_audit_file_that_is_moved_away_is_opened_again() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir).start();
    let moved = dir.path().join("moved");
    redoubt.session().command(&["PING"]);
    let closed = || fs::read_to_string(log(&dir)).is_ok_and(|text| text.contains("session_closed"));
    assert!(Deadline::standard().poll(closed));
    fs::rename(log(&dir), &moved).unwrap();
    redoubt.session().command(&["PING"]);
    assert!(Deadline::standard().poll(closed));
    stop(redoubt);
    let all = [lines(&moved), lines(&log(&dir))].concat();
    assert_no_gaps(&all);
    assert_eq!(all.last().unwrap()["event"], "stopped");
    let mode = fs::metadata(log(&dir)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_audit_line_is_lost_while_rotation_fails() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let few = |setup: Setup| setup.set_text("audit.max_size", "64kb").set("audit.max_files", 1);
    let redoubt = few(recording_each(&redis, &dir)).start();
    // No file can replace a directory.
    let set_aside = dir.path().join("audit.log.1");
    fs::create_dir(&set_aside).unwrap();
    let mut session = redoubt.session();
    let mut refused = 0;
    let is_failing = || redoubt.log().all().iter().any(|line| line.contains("cannot be written"));
    assert!(Deadline::standard().poll(|| {
        for _ in 0..20 {
            session.command(&REFUSED);
            refused += 1;
        }
        is_failing()
    }));
    fs::remove_dir(&set_aside).unwrap();
    redoubt.log().wait(|line| line.contains("audit log is written again")).expect("its end");
    stop(redoubt);
    let all = [lines(&set_aside), lines(&log(&dir))].concat();
    assert_no_gaps(&all);
    assert_eq!(count(&all, "command_refused"), refused);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn permissions_of_others_are_removed_from_the_audit_file() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    stop(setup(&redis, &dir).start());
    // The group keeps its permission to read it.
    for (found, wanted) in [(0o666, 0o640), (0o644, 0o640), (0o660, 0o640), (0o600, 0o600)] {
        fs::set_permissions(log(&dir), fs::Permissions::from_mode(found)).unwrap();
        stop(setup(&redis, &dir).set("audit.hash_chain", found == 0o666).start());
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("audit.log") & 0o777, if found == 0o666 { 0o600 } else { wanted });
        if found == 0o666 {
            assert_eq!(mode("audit.log.head") & 0o777, 0o600);
            assert_eq!(mode("audit.log.1") & 0o777, wanted);
        }
    }
}
