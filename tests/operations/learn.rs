//! `redoubt learn` and `redoubt observed`: what identities need, and what their rules would refuse.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use support::http::http_get;
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, Wire, signal};

const PASSWORD: &str = "the password of the worker identity";

/// A Redoubt with the identity `worker`, whose `acl` is observed.
fn observed(redis: &Redis, acl: &str) -> Setup {
    Redoubt::setup(redis)
        .set("workers", 2)
        .set_text("identities.worker.password", PASSWORD)
        .set("identities.worker.acl", acl)
        .set_text("identities.worker.mode", "observe")
}

fn worker(redoubt: &Redoubt) -> Wire {
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "worker", PASSWORD]), b"+OK\r\n");
    session
}

fn answer(redoubt: &Redoubt, path: &str) -> Value {
    let (status, _, body) = http_get(redoubt.admin(), path);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|word| word.as_str().expect("a text")).collect()
}

/// Returns what the identity would be refused, once `count` requests have been tried.
fn refusals(redoubt: &Redoubt, count: u64) -> Value {
    let mut found = Value::Null;
    let is_done = Deadline::standard().poll(|| {
        found = answer(redoubt, "/observed?identity=worker");
        found["asked"].as_u64() >= Some(count)
    });
    assert!(is_done, "{found}");
    found
}

/// Work of a queue's client: keys, channels, a script and another database.
fn work(session: &mut Wire) {
    for number in 0..20 {
        let key = format!("job:{number}");
        session.command(&["HSET", &key, "state", "canary-of-a-value"]);
        session.command(&["HGETALL", &key]);
        session.command(&["LPUSH", "queue:mails:wait", &key]);
    }
    session.command(&["PUBLISH", "events:42", "canary-of-a-value"]);
    let script = "return redis.call('INCR', KEYS[1])";
    session.command(&["EVAL", script, "1", "counter:jobs"]);
    session.command(&["CLIENT", "ID"]);
    session.command(&["MULTI"]);
    session.command(&["GET", "config:limits"]);
    session.command(&["EXEC"]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn what_an_observed_identity_does_becomes_a_rule_that_lets_it_pass() {
    for server in ["redis-7.0", "redis-8.0", "valkey-9.1"] {
        let redis = Redis::setup().server(server).start();
        let redoubt = observed(&redis, r#"["~old:*", "+@string", "+ping"]"#).start();
        let mut session = worker(&redoubt);
        work(&mut session);
        let learned = answer(&redoubt, "/learn?identity=worker");
        let rule = words(&learned["acl"]).join(" ");
        let expected = "resetkeys resetchannels -@all %R~config:limits ~counter:jobs ~job:* %W~queue:mails:wait \
            &events:* +client|id +eval +exec +get +hgetall +hset +incr +lpush +multi +publish";
        assert_eq!(rule, expected, "{server}");
        assert_eq!(learned["databases"][0]["number"], 0);
        assert_eq!(learned["check"]["refused"].as_array().map(Vec::len), Some(0), "{learned}");
        assert_eq!(learned["check"]["unknown"].as_array().map(Vec::len), Some(0), "{learned}");
        assert!(learned["check"]["allowed"].as_u64() >= Some(10), "{learned}");
        assert_eq!(words(&learned["unused"]), ["~old:*", "+ping"], "+@string has GET and INCR");
        let hset = learned["words"].as_array().expect("a list");
        let hset = hset.iter().find(|word| word["word"] == "+hset").expect("+hset");
        assert_eq!(
            (hset["count"].as_u64(), hset["named_in_script"].as_bool()),
            (Some(20), Some(false))
        );
        assert!(!learned.to_string().contains("canary"));
        // The rule in force lets the same work pass, and nothing else.
        let acl = format!("{:?}", words(&learned["acl"]));
        let enforced = observed(&redis, &acl).set_text("identities.worker.mode", "enforce").start();
        enforced.wait_until_it_serves();
        let mut session = worker(&enforced);
        work(&mut session);
        assert_eq!(session.command(&["HGET", "job:1", "state"])[..7], *b"-NOPERM");
        assert_eq!(session.command(&["HGETALL", "other:1"])[..7], *b"-NOPERM");
        assert!(session.command(&["FLUSHALL"]).starts_with(b"-"));
        assert_eq!(session.command(&["GET", "job:1"])[..10], *b"-WRONGTYPE");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn what_a_rule_would_refuse_is_served_recorded_and_audited() {
    let dir = tempdir().expect("a directory");
    let log = dir.path().join("audit.log");
    let redis = Redis::setup().server("redis-8.0").start();
    let redoubt = observed(&redis, r#"["~cache:*", "+get", "+set", "+hset"]"#)
        .set_text("audit.output", "file")
        .set_text("audit.file", log.to_str().expect("a path"))
        .set_text("audit.keys", "plain")
        .start();
    let mut session = worker(&redoubt);
    assert_eq!(session.command(&["SET", "cache:1", "v"]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "other:1", "canary-of-a-value"]), b"+OK\r\n");
    for _ in 0..3 {
        assert_eq!(session.command(&["INCR", "cache:2"])[..1], *b":");
    }
    assert_eq!(session.command(&["PUBLISH", "news", "v"]), b":0\r\n");
    let script = "return redis.call('LPUSH', KEYS[1], 'x')";
    assert_eq!(session.command(&["EVAL", script, "1", "cache:list"]), b":1\r\n");
    let observed = refusals(&redoubt, 6);
    let found: Vec<_> = observed["refusals"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|refusal| {
            let needs = words(&refusal["needs"]).join(" ");
            format!("{} {} {} {needs}", refusal["count"], refusal["command"], refusal["rule"])
                .replace('"', "")
        })
        .collect();
    let expected = [
        "3 incr commands +incr",
        "1 eval commands +eval",
        "1 lpush commands +lpush",
        "1 publish commands +publish",
        "1 set keys %W~other:*",
    ];
    assert_eq!(found, expected, "{observed}");
    assert_eq!(observed["not_asked"], 0);
    redoubt.metric_becomes("redoubt_would_refuse_total{identity=\"worker\",command=\"incr\"}", 3.0);
    let mut lines = Vec::new();
    let is_written = Deadline::standard().poll(|| {
        let text = fs::read_to_string(&log).expect("the log");
        let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines = events.filter(|line: &Value| line["event"] == "would_refuse").collect();
        lines.len() >= 5
    });
    assert!(is_written, "{lines:?}");
    let set = lines.iter().find(|line| line["command"] == "set").expect("a line");
    assert_eq!(
        (&set["identity"], &set["rule"], &set["keys"][0]),
        (&Value::from("worker"), &Value::from("keys"), &Value::from("other:1"),)
    );
    assert!(!format!("{lines:?}").contains("canary"));
    // The users for dry runs are switched off, and gone at the end.
    let users = String::from_utf8_lossy(&redis.direct().command(&["ACL", "LIST"])).into_owned();
    let candidates =
        users.lines().filter(|line| line.contains("user redoubt-") && line.contains(" off "));
    assert_eq!(candidates.count(), 1, "{users}");
    drop(session);
    let mut redoubt = redoubt;
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    let users = String::from_utf8_lossy(&redis.direct().command(&["ACL", "LIST"])).into_owned();
    assert!(!users.contains("user redoubt-"), "{users}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn all_identities_can_be_recorded_and_refused_attempts_are_left_out() {
    let redis = Redis::setup().server("redis-8.0").start();
    let redoubt = observed(&redis, r#"["~cache:*", "+get", "+set", "+del"]"#)
        .set_text("identities.worker.mode", "enforce")
        .set_text("learn.record", "all")
        .start();
    redoubt.wait_until_it_serves();
    let mut session = worker(&redoubt);
    assert_eq!(session.command(&["SET", "cache:1", "v"]), b"+OK\r\n");
    assert_eq!(session.command(&["GET", "cache:1"]), b"$1\r\nv\r\n");
    assert_eq!(session.command(&["SET", "other:1", "v"])[..7], *b"-NOPERM");
    assert_eq!(session.command(&["LPUSH", "cache:1", "v"])[..7], *b"-NOPERM");
    let mut other = redoubt.session();
    assert_eq!(other.command(&["LPUSH", "list", "v"]), b":1\r\n");
    let observed = refusals(&redoubt, 4);
    assert_eq!(
        (&observed["observes"], &observed["refusals"]),
        (&false.into(), &Value::Array(vec![]))
    );
    let learned = answer(&redoubt, "/learn?identity=worker");
    assert_eq!(words(&learned["acl"])[3..], ["~cache:*", "+get", "+set"], "{learned}");
    assert_eq!(words(&learned["unused"]), ["+del"]);
    let learned = answer(&redoubt, "/learn?identity=default");
    // The PING is that of the wait above.
    assert_eq!(words(&learned["acl"])[3..], ["%W~list", "+lpush", "+ping"], "{learned}");
    assert_eq!(learned["unused"], Value::Null);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn what_was_learned_survives_a_restart_in_the_state_file() {
    let dir = tempdir().expect("a directory");
    let state = dir.path().join("learned");
    let redis = Redis::setup().server("redis-8.0").start();
    let start = || {
        let setup = observed(&redis, r#"["~cache:*", "+get"]"#);
        setup.set_text("learn.file", state.to_str().expect("a path")).start()
    };
    let mut redoubt = start();
    let mut session = worker(&redoubt);
    session.command(&["SET", "user:550e8400-e29b-41d4-a716-446655440000", "canary-of-a-value"]);
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    let text = fs::read_to_string(&state).expect("the state file");
    let key = text.split(' ').find(|word| word.starts_with('w')).expect("a key");
    assert!(!text.contains("canary") && key.len() < 20, "{text}");
    let redoubt = start();
    let learned = answer(&redoubt, "/learn?identity=worker");
    assert_eq!(words(&learned["acl"])[3..], ["%W~user:*", "+set"]);
    // A file that is not understood is put aside.
    drop(redoubt);
    fs::write(&state, "something else\n").expect("write");
    let redoubt = start();
    let learned = answer(&redoubt, "/learn?identity=worker");
    assert_eq!(words(&learned["acl"]), ["resetkeys", "resetchannels", "-@all"]);
    assert!(dir.path().join("learned.unreadable").exists());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_commands_print_lines_to_paste_and_a_table() {
    let redis = Redis::setup().server("redis-8.0").start();
    let redoubt = observed(&redis, r#"["~cache:*", "+get"]"#).start();
    let mut session = worker(&redoubt);
    session.command(&["GET", "cache:1"]);
    session.command(&["SET", "cache:1", "v"]);
    refusals(&redoubt, 2);
    let run = |words: &[&str]| {
        let output = Command::new(support::program())
            .args(words)
            .args(["--admin", &redoubt.admin().to_string()])
            .output()
            .expect("run redoubt");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, text) = run(&["learn", "worker", "--since", "1h"]);
    assert_eq!(code, Some(0), "{text}");
    let toml: toml::Table = toml::from_str(&text).expect("TOML");
    let acl = toml["acl"].as_array().expect("a list");
    let acl: Vec<_> = acl.iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(acl[3..], ["~cache:*", "+get", "+set"]);
    assert_eq!(toml["databases"].as_array().map(Vec::len), Some(1));
    assert!(text.contains("the rule allows 2 combinations"), "{text}");
    assert!(text.contains("every word was used"), "{text}");
    let (code, text) = run(&["observed", "worker"]);
    assert_eq!(code, Some(0), "{text}");
    let row = text.lines().find(|line| line.contains("+set")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[2..], ["set", "commands", "+set"]);
    assert_eq!(run(&["learn", "nobody"]).0, Some(1));
    for path in ["/learn", "/learn?identity=", "/learn?identity=worker&since=0", "/observed"] {
        assert_eq!(http_get(redoubt.admin(), path).0, 400, "{path}");
    }
}
