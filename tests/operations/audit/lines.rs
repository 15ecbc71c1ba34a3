//! The content of the audit log's lines.

use std::fs;

use serde_json::json;

use super::{assert_no_gaps, count, events, lines, log, parsed, setup, stop};
use support::bench::request;
use support::{Deadline, Redis, Redoubt, Wire};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_describe_events_without_secrets() {
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
    assert_no_gaps(&lines);
    assert!(lines.iter().all(|line| line["schema"] == 1));
    let events = events(&lines);
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
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn events_after_reset_name_no_user() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir).start();
    let password = redoubt.password().to_owned();
    let mut session = redoubt.connect();
    // One write, so that the worker has all of it before it reports the first event.
    session.send(
        &[
            request(&["CONFIG", "GET", "1"]),
            request(&["AUTH", &password]),
            request(&["CONFIG", "GET", "2"]),
            request(&["AUTH", "wrong"]),
            request(&["CONFIG", "GET", "3"]),
            request(&["RESET"]),
            request(&["CONFIG", "GET", "4"]),
            request(&["QUIT"]),
        ]
        .concat(),
    );
    session.read_to_close();
    stop(redoubt);
    let lines = lines(&log(&dir));
    let users = |event| {
        let of_event = lines.iter().filter(|line| line["event"] == event);
        of_event.map(|line| line["user"].clone()).collect::<Vec<_>>()
    };
    let default = || json!("default");
    assert_eq!(users("auth_succeeded"), [default()]);
    assert_eq!(users("command_refused"), [json!(null), default()]);
    assert_eq!(users("session_closed"), [json!(null)]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_contain_keys_if_configured_and_never_values() {
    // The output of `printf %s canary-key | sha256sum`.
    let hashed = "0b8bdfd5fe8e2887553f64e360259947f07d61acd45d51b4a74a53008e5a9597";
    for (form, wanted) in [("plain", "canary-key"), ("hashed", hashed)] {
        let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
        let setup = setup(&redis, &dir).set("policy.blocked", "[\"SET\"]");
        let redoubt = setup.set_text("audit.keys", form).start();
        redoubt.connect().command(&["SET", "canary-stranger", "canary-value"]);
        redoubt.session().command(&["SET", "canary-key", "canary-value"]);
        let logged = redoubt.log().clone();
        stop(redoubt);
        let lines = lines(&log(&dir));
        let keys: Vec<_> = lines.iter().filter_map(|line| line.get("keys")).collect();
        assert_eq!(keys, [&json!([wanted])]);
        let text = fs::read_to_string(log(&dir)).unwrap();
        assert!(!text.contains("canary-value") && !text.contains("canary-stranger"));
        logged.wait_for_end();
        assert!(!logged.all().iter().any(|line| line.contains("canary")));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn audit_lines_go_to_standard_output() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("audit.output", "stdout").start();
    redoubt.session().command(&["CONFIG", "GET", "x"]);
    let output = redoubt.log().clone();
    stop(redoubt);
    output.wait_for_end();
    // The log goes to standard error, and the harness collects both outputs.
    let of_audit = |line: &String| line.starts_with("{\"schema\":1,");
    let all = parsed(&output.all().into_iter().filter(of_audit).collect::<Vec<_>>().join("\n"));
    assert_no_gaps(&all);
    assert_eq!(count(&all, "command_refused"), 1);
    assert_eq!(all.last().unwrap()["event"], "stopped");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn lock_outs_and_refused_connections_are_all_in_the_audit_log_before_a_stop() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir)
        .set("throttle.exempt", "[]")
        .set("throttle.failures", 1)
        .set_text("throttle.lockout", "5m")
        .start();
    let mut guesser = Wire::connect_from([127, 0, 0, 2], redoubt.address());
    guesser.send(b"AUTH wrong\r\n");
    guesser.read_to_close();
    // Refused connections are logged at most once in ten seconds: the first at once, the others at the
    // stop.
    for _ in 0..3 {
        let mut refused = Wire::connect_from([127, 0, 0, 2], redoubt.address());
        assert_eq!(refused.read_to_close(), b"");
    }
    stop(redoubt);
    let lines = lines(&log(&dir));
    let locked_out: Vec<_> = lines.iter().filter(|l| l["event"] == "locked_out").collect();
    assert_eq!(locked_out.len(), 1, "{lines:?}");
    assert_eq!(locked_out[0]["duration_ms"], 300_000);
    assert!(locked_out[0]["peer"].as_str().unwrap().starts_with("127.0.0.2:"));
    let refused: Vec<_> = lines.iter().filter(|l| l["event"] == "connections_refused").collect();
    assert_eq!(refused.iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>(), 3);
    let last = refused.last().unwrap();
    assert_eq!((&last["reason"], &last["total"]), (&"locked_out".into(), &3.into()));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_answer_in_place_of_a_refusal_is_recorded_once_for_each_parameter() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir)
        .set("policy.compat.config_get", true)
        .set("policy.compat.notify_keyspace_events", true)
        .start();
    let mut session = redoubt.session();
    let is_answered = || session.command(&["CONFIG", "GET", "save"]).starts_with(b"*");
    assert!(Deadline::standard().poll(is_answered));
    for words in [
        &["CONFIG", "GET", "save"][..],
        &["CONFIG", "GET", "save", "timeout", "canary"],
        &["CONFIG", "SET", "notify-keyspace-events", "K"],
    ] {
        session.command(words);
    }
    stop(redoubt);
    let lines = lines(&log(&dir));
    let answered = lines.iter().filter(|line| line["event"] == "command_answered");
    let answered: Vec<_> = answered
        .map(|line| {
            let of_session = line["session"].is_u64() && line["peer"].is_string();
            assert!(of_session && line["user"] == "default", "{line}");
            (&line["key"], &line["parameters"], &line["succeeded"])
        })
        .collect();
    let (get, set) = (json!("config_get"), json!("notify_keyspace_events"));
    let [save, timeout, events] =
        ["save", "timeout", "notify-keyspace-events"].map(|name| json!([name]));
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(answered, [(&get, &save, &yes), (&get, &timeout, &yes), (&set, &events, &no)]);
    assert!(!fs::read_to_string(log(&dir)).unwrap().contains("canary"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_flush_below_a_prefix_is_recorded_with_the_number_of_keys_and_none_of_them() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let redoubt = setup(&redis, &dir).set("policy.compat.flush", "{ prefix = \"cache:\" }").start();
    redoubt.wait_until_it_serves();
    let mut session = redoubt.session();
    for words in [
        &["CLIENT", "SETNAME", "web1"][..],
        &["SET", "cache:canary", "1"],
        &["SELECT", "2"],
        &["SET", "cache:canary", "1"],
        &["FLUSHDB"],
        &["FLUSHALL"],
        &["FLUSHALL", "wrong"],
    ] {
        session.command(words);
    }
    stop(redoubt);
    let lines = lines(&log(&dir));
    let deleted = lines.iter().filter(|line| line["event"] == "keys_deleted");
    let deleted: Vec<_> = deleted
        .map(|line| {
            let is_whole = line["session"].is_u64() && line["peer"].is_string();
            assert!(is_whole && line["user"] == "default" && line["name"] == "web1", "{line}");
            assert!(line["prefix"] == "cache:" && line["succeeded"] == true, "{line}");
            (&line["command"], &line["databases"], &line["keys"])
        })
        .collect();
    let (one, all) = (json!("flushdb"), json!("flushall"));
    assert_eq!(deleted, [(&one, &json!([2]), &json!(1)), (&all, &json!([0]), &json!(1))]);
    assert!(!fs::read_to_string(log(&dir)).unwrap().contains("canary"));
}
