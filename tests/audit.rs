//! The audit log: its lines, its file and its hash chain.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, signal, target_is_redis};
use tempfile::TempDir;

fn setup(redis: &Redis, dir: &TempDir) -> Setup {
    Redoubt::setup(redis)
        .set_text("audit.output", "file")
        .set_text("audit.file", log(dir).to_str().unwrap())
}

fn log(dir: &TempDir) -> PathBuf {
    dir.path().join("audit.log")
}

fn stop(mut redoubt: Redoubt) {
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn verify(files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["audit", "verify"]).args(files).output().unwrap()
}

#[test]
fn what_happens_is_written_without_secrets() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir).start();
    let password = redoubt.password().to_owned();
    let mut session = redoubt.connect();
    session.command(&["AUTH", "canary-wrong"]);
    session.command(&["AUTH", &password]);
    session.command(&["SET", "canary-key", "canary-value"]);
    session.command(&["CONFIG", "SET", "canary-key", "canary-value"]);
    session.command(&["QUIT"]);
    session.read_to_close();
    stop(redoubt);
    let lines = lines(&log(&dir));
    let documented = fs::read_to_string("docs/audit.md").unwrap();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["schema"], 1);
        assert_eq!(line["seq"], index as u64 + 1);
        for name in line.as_object().unwrap().keys() {
            assert!(documented.contains(&format!("`{name}`")), "{name} is not documented");
        }
        let event = line["event"].as_str().unwrap();
        assert!(documented.contains(&format!("`{event}`")), "{event} is not documented");
    }
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    for wanted in [
        "started",
        "guard_changed",
        "session_opened",
        "auth_failed",
        "auth_succeeded",
        "command_refused",
        "session_closed",
        "stopped",
    ] {
        assert!(events.contains(&wanted), "no {wanted} in {events:?}");
    }
    let closed = lines.iter().find(|line| line["event"] == "session_closed").unwrap();
    assert_eq!((&closed["refused"], &closed["reason"]), (&1.into(), &"quit".into()));
    let text = fs::read_to_string(log(&dir)).unwrap();
    assert!(
        !text.contains("canary") && !text.contains(&password) && !text.contains(redis.password())
    );
}

#[test]
fn the_chain_goes_over_rotation_and_a_kill_and_shows_changes() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || {
        setup(&redis, &dir)
            .set("audit.hash_chain", "true")
            .set_text("audit.max_size", "64kb")
            .start()
    };
    let mut redoubt = chained();
    let mut session = redoubt.session();
    for _ in 0..500 {
        session.command(&["CONFIG", "GET", "x"]);
    }
    signal(redoubt.pid(), "KILL");
    redoubt.wait();
    // As a crash in the middle of a write leaves it.
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
    let repaired = lines(&log(&dir)).iter().any(|line| line["event"] == "log_repaired");
    assert!(repaired, "nothing says that half a line was cut off");

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

/// Runs Redoubt with `audit` under `[audit]`, which it is not to start with; what it says of that.
fn refused(redis: &Redis, dir: &TempDir, audit: &str) -> String {
    let file = dir.path().join("redoubt.toml");
    let secret = "0123456789abcdef0123456789abcdef0123";
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"redis://127.0.0.1:{}\"\npassword = \
         \"{secret}up\"\n[client]\npassword = \"{secret}\"\n[audit]\n{audit}\n",
        redis.port(),
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["serve", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut status = None;
    Deadline::patient().poll(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{error}");
    error
}

fn to_file(dir: &TempDir) -> String {
    format!("output = \"file\"\nfile = {:?}", log(dir))
}

#[test]
fn a_second_process_is_kept_off_the_file() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let _first = setup(&redis, &dir).start();
    let error = refused(&redis, &dir, &to_file(&dir));
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn a_file_that_is_no_audit_log_is_left_as_it_is() {
    if target_is_redis() {
        return;
    }
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
fn what_cannot_be_kept_is_refused() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let error = refused(&redis, &dir, &format!("{}\non_full = \"block\"", to_file(&dir)));
    assert!(error.contains("not supported"), "{error}");
}
