//! The audit log.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, TIME_LIMIT, signal};

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("audit.log")
}

/// A log in a file. With keys it has a line for each refused command, and not only for the first of a session.
fn setup(redis: &Redis, dir: &TempDir) -> Setup {
    let setup = Redoubt::setup(redis).set_text("audit.output", "file");
    let setup = setup.set_text("audit.keys", "plain");
    setup.set_text("audit.file", path(dir).to_str().unwrap())
}

/// Returns the log of a Redoubt that has refused `refused` commands and then stopped.
fn log_of(setup: Setup, dir: &TempDir, refused: usize) -> String {
    run(setup, refused);
    fs::read_to_string(path(dir)).unwrap()
}

fn run(setup: Setup, refused: usize) {
    let mut redoubt = setup.start();
    let mut session = redoubt.session();
    for _ in 0..refused {
        assert!(session.command(&["RESTORE-ASKING", "x"]).starts_with(b"-"));
    }
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
fn output_takes_effect() {
    let redis = Redis::start();
    for (output, writes) in [("stdout", true), ("off", false)] {
        let mut redoubt = Redoubt::setup(&redis).set_text("audit.output", output).start();
        drop(redoubt.session());
        signal(redoubt.pid(), "TERM");
        assert_eq!(redoubt.wait().code(), Some(0));
        redoubt.log().wait_for_end();
        let line = |line: &String| line.contains("\"event\":\"session_opened\"");
        assert_eq!(redoubt.log().all().iter().any(line), writes, "{output}");
    }
}

#[test]
fn file_takes_effect() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    // `setup` sets "audit.file".
    assert!(log_of(setup(&redis, &dir), &dir, 1).contains("command_refused"));
}

#[test]
fn syslog_socket_takes_effect() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let path = path(&dir);
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let setup = Redoubt::setup(&redis).set_text("audit.output", "syslog");
    let _redoubt = setup.set_text("audit.syslog_socket", path.to_str().unwrap()).start();
    let mut buffer = [0; 4096];
    let length = receiver.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..length]).contains("\"event\":\"started\""));
}

fn files(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn max_size_takes_effect() {
    let redis = Redis::start();
    for (size, rotates) in [("100mb", false), ("64kb", true)] {
        let dir = tempfile::tempdir().unwrap();
        run(setup(&redis, &dir).set_text("audit.max_size", size), 600);
        assert_eq!(path(&dir).with_extension("log.1").exists(), rotates, "{size}");
    }
}

#[test]
fn max_files_takes_effect() {
    let redis = Redis::start();
    for kept in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(&redis, &dir).set_text("audit.max_size", "64kb");
        run(setup.set("audit.max_files", kept), 2000);
        let numbered = |number: u32| path(&dir).with_extension(format!("log.{number}")).exists();
        assert!(numbered(kept) && !numbered(kept + 1), "{} files", files(&dir));
    }
}

#[test]
fn keys_takes_effect() {
    let redis = Redis::start();
    for (keys, shown) in [("none", false), ("hashed", false), ("plain", true)] {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(&redis, &dir).set_text("audit.keys", keys);
        let mut redoubt = setup.set("policy.blocked", "[\"GET\"]").start();
        redoubt.session().command(&["GET", "the-key"]);
        signal(redoubt.pid(), "TERM");
        redoubt.wait();
        let log = fs::read_to_string(path(&dir)).unwrap();
        assert_eq!(log.contains("the-key"), shown, "{keys}");
        assert_eq!(log.contains("\"keys\":["), keys != "none", "{keys}");
    }
}

/// Starts a Redoubt whose audit log goes to a pipe that nobody reads.
fn stuck(redis: &Redis, dir: &TempDir, set: impl Fn(Setup) -> Setup) -> Redoubt {
    assert!(Command::new("mkfifo").arg(path(dir)).status().unwrap().success());
    set(setup(redis, dir)).set_text("shutdown_timeout", "1s").start()
}

#[test]
fn on_full_takes_effect() {
    let redis = Redis::start();
    for (on_full, says) in [("block", "clients wait"), ("drop", "dropped")] {
        let dir = tempfile::tempdir().unwrap();
        let set = |setup: Setup| setup.set_text("audit.on_full", on_full).set("audit.queue", 100);
        let redoubt = stuck(&redis, &dir, set);
        let mut session = redoubt.session();
        session.offer(&b"RESTORE-ASKING x\r\n".repeat(3000));
        redoubt.log().wait(|line| line.contains(says)).expect(says);
    }
}

#[test]
fn queue_takes_effect() {
    let redis = Redis::start();
    let (small, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = |dir, queue: u32| stuck(&redis, dir, |setup| setup.set("audit.queue", queue));
    let (small, large) = (of(&small, 100), of(&large, 1_000_000));
    let is_full = |redoubt: &Redoubt| redoubt.log().all().iter().any(|l| l.contains("dropped"));
    for redoubt in [&small, &large] {
        let mut session = redoubt.session();
        for _ in 0..100 {
            session.send(&b"RESTORE-ASKING x\r\n".repeat(30));
            for _ in 0..30 {
                session.frame();
            }
        }
    }
    assert!(Deadline::standard().poll(|| is_full(&small)));
    assert!(!is_full(&large));
}

#[test]
fn hash_chain_takes_effect() {
    let redis = Redis::start();
    for chain in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let log = log_of(setup(&redis, &dir).set("audit.hash_chain", chain), &dir, 1);
        assert_eq!(log.contains("\"hash\":"), chain);
    }
}
