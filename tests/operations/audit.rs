//! The audit log: its lines, its file, its hash chain, and what happens when it cannot be written.

mod chain;
mod disk;
mod file;
mod full;
mod lines;
mod schema;
mod syslog;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, signal};
use tempfile::TempDir;

fn setup(redis: &Redis, dir: &TempDir) -> Setup {
    Redoubt::setup(redis)
        .set_text("audit.output", "file")
        .set_text("audit.file", log(dir).to_str().unwrap())
}

/// A command that is refused.
const REFUSED: [&str; 2] = ["RESTORE-ASKING", "x"];

/// As [`setup`]; the log has a line for each [`REFUSED`], not only for the first of a session, since keys are
/// recorded.
fn recording_each(redis: &Redis, dir: &TempDir) -> Setup {
    setup(redis, dir).set_text("audit.keys", "plain")
}

fn log(dir: &TempDir) -> PathBuf {
    dir.path().join("audit.log")
}

fn stop(mut redoubt: Redoubt) {
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
}

fn lines(path: &Path) -> Vec<Value> {
    parsed(&fs::read_to_string(path).unwrap())
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

fn count(lines: &[Value], event: &str) -> usize {
    lines.iter().filter(|line| line["event"] == event).count()
}

#[track_caller]
fn assert_no_gaps(lines: &[Value]) {
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], index as u64 + 1, "a gap before {line}");
    }
}

/// Starts Redoubt with `audit` under `[audit]`, which must stop the start; returns its error.
fn refused(redis: &Redis, dir: &TempDir, audit: &str) -> String {
    let file = dir.path().join("redoubt.toml");
    let secret = "0123456789abcdef0123456789abcdef0123";
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"redis://127.0.0.1:{}\"\npassword = \
         \"{secret}up\"\n[client]\npassword = \"{secret}\"\n[admin]\nlisten = \"off\"\n[audit]\n{audit}\n",
        redis.port(),
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["serve", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut status = None;
    Deadline::standard().poll(|| {
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
