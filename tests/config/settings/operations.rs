//! The sections of the admin port, metrics and the log.

use std::fs;
use std::process::{Command, Stdio};

use support::{Lines, Redis, Redoubt, http, lines, secret};

#[test]
fn admin_listen_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("admin.listen", "127.0.0.4:0").start();
    assert_eq!(redoubt.admin().ip().to_string(), "127.0.0.4");
    assert_eq!(http::http_get(redoubt.admin(), "/livez").0, 200);
}

#[test]
fn metrics_enabled_takes_effect() {
    let redis = Redis::start();
    for (enabled, status) in [(true, 200), (false, 404)] {
        let redoubt = Redoubt::setup(&redis).set("metrics.enabled", enabled).start();
        assert_eq!(http::http_get(redoubt.admin(), "/metrics").0, status);
    }
}

/// Returns the rule that the only identity needs.
fn learned(redoubt: &Redoubt) -> String {
    http::http_get(redoubt.admin(), "/learn?identity=default").2
}

#[test]
fn learn_record_takes_effect() {
    let redis = Redis::start();
    for (record, is_recorded) in [("observed", false), ("all", true)] {
        let redoubt = Redoubt::setup(&redis).set_text("learn.record", record).start();
        redoubt.session().command(&["GET", "k"]);
        assert_eq!(learned(&redoubt).contains("+get"), is_recorded, "{record}");
    }
}

#[test]
fn learn_file_takes_effect() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    let setup = || Redoubt::setup(&redis).set_text("learn.record", "all");
    let start = || setup().set_text("learn.file", path.to_str().unwrap()).start();
    let mut redoubt = start();
    redoubt.session().command(&["GET", "k"]);
    support::signal(redoubt.pid(), "TERM");
    assert!(redoubt.wait().success());
    assert!(path.exists());
    assert!(learned(&start()).contains("+get"));
}

/// Returns the first lines of the log with this format.
fn says(format: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[client]\npassword = \"{}\"\n[admin]\nlisten = \"off\"\n[upstream]\n\
         url = \"redis://127.0.0.1:1\"\npassword = \"{}\"\n[audit]\noutput = \"off\"\n[log]\n{format}\n",
        secret(),
        secret()
    );
    fs::write(&path, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_redoubt"))
        .args(["serve", "--config", path.to_str().unwrap()])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Lines::default();
    log.collect(child.stderr.take().unwrap());
    let unavailable = log.wait(|line| line.contains("upstream is unavailable"));
    drop(child.kill());
    drop(child.wait());
    unavailable.expect("the error that is logged at every level");
    log.all()
}

#[test]
fn log_format_takes_effect() {
    // `says` sets "log.format".
    let json = |lines: &[String]| lines.iter().all(|line| lines::field(line, "level").is_some());
    assert!(json(&says("format = \"json\"")));
    assert!(!json(&says("format = \"text\"")));
}

#[test]
fn log_level_takes_effect() {
    // `says` sets "log.level", too.
    let listening = |lines: &[String]| lines.iter().any(|line| line.contains("listening"));
    assert!(listening(&says("level = \"info\"")));
    assert!(!listening(&says("level = \"error\"")));
}
