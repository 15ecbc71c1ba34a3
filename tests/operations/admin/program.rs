//! `redoubt healthcheck`, and an admin port that is in use.

use std::process::{Command, Output};

use support::http::http_get;
use support::{Deadline, Redis, Redoubt, signal};

/// Runs the program with an empty environment.
pub(crate) fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redoubt"))
        .args(args)
        .env_clear()
        .output()
        .expect("run redoubt")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).expect("text")
}

/// Writes a configuration with this admin port, and returns the file.
pub(crate) fn configured(admin: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let config = format!(
        "listen = \"127.0.0.1:0\"\nallow_weak_passwords = true\n\
         [upstream]\nurl = \"redis://127.0.0.1:1\"\npassword = \"x\"\n[admin]\nlisten = \"{admin}\"\n"
    );
    std::fs::write(file.path(), config).expect("write the configuration");
    file
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn healthcheck_exits_with_0_only_if_redoubt_is_healthy() {
    let mut redis = Redis::start();
    let redoubt_runs = Redoubt::start(&redis);
    let address = redoubt_runs.admin();
    assert!(Deadline::standard().poll(|| http_get(address, "/readyz").0 == 200), "ready");
    // A sidecar has such a configuration, where other machines can reach the port too.
    let file = configured(&format!("0.0.0.0:{}", address.port()));
    let config = file.path().to_str().expect("a path");
    let is = |args: &[&str], code: i32, line: &str| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert_eq!(text(&output.stdout), line, "{args:?}");
    };
    is(&["healthcheck", "--config", config], 0, "ok\n");
    is(&["healthcheck", "--config", config, "--live"], 0, "ok\n");
    redis.kill();
    assert!(Deadline::standard().poll(|| http_get(address, "/readyz").0 == 503), "not ready");
    is(&["healthcheck", "--admin", &address.to_string()], 1, "upstream: not authenticated\n");
    is(&["healthcheck", "--live", "--admin", &address.to_string()], 0, "ok\n");
}

#[test]
fn healthcheck_prints_why_there_is_no_answer() {
    let fails = |args: &[&str], why: &str| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        let said = text(&output.stderr);
        assert!(said.contains(why) && said.lines().count() == 1, "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    for (admin, why) in [
        ("off", "admin.listen is \"off\""),
        ("127.0.0.1:0", "--admin HOST:PORT"),
        ("127.0.0.1:1", "cannot connect to the admin port 127.0.0.1:1: "),
    ] {
        let file = configured(admin);
        fails(&["healthcheck", "--config", file.path().to_str().expect("a path")], why);
    }
    fails(&["healthcheck"], "no upstream");
    // The listener never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    fails(&["healthcheck", "--admin", &address], "does not answer within 2s");
}

#[test]
fn an_admin_port_in_use_stops_the_start_and_names_the_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let file = configured(&taken.local_addr().expect("an address").to_string());
    let output = run(&["serve", "--config", file.path().to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("admin.listen cannot be used: write another address, or \"off\""),
        "{said}"
    );
    assert!(said.contains("Address already in use"), "{said}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn healthcheck_live_fails_for_a_stopped_process() {
    let stopped = Redoubt::start(&Redis::start());
    let address = stopped.admin();
    signal(stopped.pid(), "STOP");
    let output = run(&["healthcheck", "--live", "--admin", &address.to_string()]);
    signal(stopped.pid(), "CONT");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("does not answer within 2s"), "{said}");
}
