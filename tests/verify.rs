//! `redoubt verify`, against Redoubt, and against Redis itself, to which it must do no harm.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use serde_json::Value;
use support::{Redis, Redoubt, target_is_redis};

fn verify(address: SocketAddr, password: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("redis://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["verify", &url]).args(args).env_clear().env("REDOUBT_PASSWORD", password);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains(password) && !err.contains(password), "{out}{err}");
    (output.status.code(), out, err)
}

/// The exit code, and the report.
fn json(address: SocketAddr, password: &str, args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = verify(address, password, &[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// Ids of the checks with that outcome.
fn ids(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["outcome"] == outcome);
    checks.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

/// A port on which nobody listens: connections are refused.
fn closed() -> String {
    format!("127.0.0.1:{}", support::redis::free_port())
}

#[test]
fn all_holds_of_redoubt() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let (address, password) = (redoubt.address(), redoubt.password());
    let (code, report) = json(address, password, &[]);
    assert_eq!(ids(&report, "fails"), Vec::<String>::new(), "{report}");
    assert_eq!(ids(&report, "not_checked"), ["public", "direct"]);
    assert_eq!((code, &report["holds"]), (Some(0), &Value::Bool(true)));

    let direct = redis.address().to_string();
    let args = ["--public", &closed(), "--direct", &direct, "--direct", &closed()];
    let (code, report) = json(address, password, &args);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(ids(&report, "not_checked"), Vec::<String>::new());
    let text = verify(address, password, &args).1;
    assert!(text.contains("refused") && text.contains("with a password of its own"), "{text}");
    assert!(!text.contains('\x1b') && text.ends_with("0 fail, 0 warnings, 0 skipped\n"), "{text}");
}

#[test]
fn an_open_redis_fails_and_is_left_as_it_was() {
    let redis = Redis::start();
    let mut wire = redis.direct();
    wire.command(&["SET", "key", "value"]);
    wire.command(&["CONFIG", "RESETSTAT"]);
    let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    wire.command(&["FUNCTION", "LOAD", library]);
    let questions: [&[&str]; 9] = [
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["FUNCTION", "LIST"],
        &["MODULE", "LIST"],
        &["ROLE"],
        &["DBSIZE"],
        &["LASTSAVE"],
        &["GET", "key"],
        &["INFO", "keyspace"],
    ];
    let mut state = || questions.map(|question| wire.command(question));
    let before = state();
    let (code, report) = json(redis.address(), redis.password(), &[]);
    assert_eq!(code, Some(1), "{report}");
    for id in ["blocked-flushdb", "blocked-flushall", "blocked-config", "blocked-debug"] {
        assert!(ids(&report, "fails").iter().any(|failed| failed == id), "{id}: {report}");
    }
    for id in ["escapes", "case", "inline", "quoted", "pipeline", "multi", "script"] {
        assert!(ids(&report, "fails").iter().any(|failed| failed == id), "{id}: {report}");
    }
    let escapes = report["checks"].as_array().unwrap().iter().find(|c| c["id"] == "escapes");
    let found = escapes.unwrap()["found"].as_str().unwrap();
    assert!(found.starts_with("42 of 42 exist: ACL, MODULE"), "{found}");
    for (before, after) in before.iter().zip(state()) {
        assert_eq!(before.escape_ascii().to_string(), after.escape_ascii().to_string());
    }
}

#[test]
fn what_redoubt_is_told_to_let_pass_fails() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "off").start();
    let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["script".to_owned()]), "{report}");

    let redoubt = Redoubt::setup(&redis).set_text("policy.escapes", "allow").start();
    let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["escapes".to_owned()]), "{report}");

    let weak = "correct-horse-battery";
    let redoubt =
        Redoubt::setup(&redis).client_password(weak).set("allow_weak_passwords", true).start();
    let (code, report) = json(redoubt.address(), weak, &[]);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["password-length".to_owned()]));
}

#[test]
fn scripts_may_be_held_by_having_none() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("policy.scripts", "deny").start();
    let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn a_way_round_fails() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).client_password(redis.password()).start();
    let direct = redis.address().to_string();
    let args = ["--direct", &direct, "--public", &direct];
    let (code, report) = json(redoubt.address(), redoubt.password(), &args);
    assert_eq!(
        (code, ids(&report, "fails")),
        (Some(1), vec!["public".to_owned(), "direct".to_owned()])
    );
}

#[test]
fn nobody_there_and_nobody_who_answers_end_with_1() {
    let address = closed().parse().unwrap();
    let (code, out, err) = verify(address, &support::secret(), &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with(&format!("redoubt: {address} cannot be reached: ")), "{err}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (code, report) = json(address, &support::secret(), &["--timeout", "20ms"]);
    assert_eq!(code, Some(1));
    assert!(ids(&report, "fails").len() > 10, "{report}");
}

#[test]
fn wrong_use_ends_with_2_and_tells_no_password() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        let output = command.arg("verify").args(args).env_clear().output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("canary"), "{err}");
        output.status.code()
    };
    assert_eq!(run(&[]), Some(2));
    assert_eq!(run(&["redis://127.0.0.1:1"]), Some(2), "no password");
    assert_eq!(run(&["http://:canary@127.0.0.1:1"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:0"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:1", "--direct", "x:canary@host:1"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:1", "--timeout", "soon"]), Some(2));
}
