//! Client libraries and `redis-cli` work through Redoubt as they do with Redis.
//!
//! The libraries of other languages are installed by `scripts/clients.sh`.

mod support;

#[path = "clients/rust/cli.rs"]
mod cli;
#[path = "clients/rust/redis_rs.rs"]
mod redis_rs;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Deadline, Lines, PATIENCE, Redis, Redoubt};

/// What a client is given.
fn url(redoubt: &Redoubt) -> String {
    format!("redis://:{}@{}/", redoubt.password(), redoubt.address())
}

/// The directory of this repository's tests of other languages.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Where the libraries of `language` are installed.
fn installed(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let dir = target.join("clients").join(language);
    assert!(dir.join("installed").exists(), "no {language} client: run scripts/clients.sh");
    dir
}

/// Runs a client program for both versions of the protocol.
fn run(program: impl Fn() -> Command) {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for protocol in ["2", "3"] {
        redoubt.stand_in().unwrap_or(&redis).flush();
        let mut client = program()
            .arg(url(&redoubt))
            .arg(protocol)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the client");
        let output = Lines::default();
        output.collect(client.stdout.take().expect("stdout"));
        output.collect(client.stderr.take().expect("stderr"));
        let mut status = None;
        Deadline::after(PATIENCE * 2).poll(|| {
            status = client.try_wait().expect("the client's state");
            status.is_some()
        });
        if status.is_none() {
            drop(client.kill());
            client.wait().expect("the client's end");
        }
        output.wait_for_end();
        let said = output.all().join("\n");
        assert!(status.is_some_and(|status| status.success()), "RESP{protocol}: {said}");
        assert_eq!(said, "all is well");
    }
}

#[test]
fn redis_py() {
    run(|| {
        let mut python = Command::new(installed("python").join("bin/python"));
        python.arg(sources().join("python/session.py"));
        python
    });
}

#[test]
fn node_redis() {
    run(|| {
        let mut node = Command::new("node");
        node.env("NODE_PATH", installed("node").join("node_modules"));
        node.arg(sources().join("node/session.cjs"));
        node
    });
}
