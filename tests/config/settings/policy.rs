//! The section `policy`.

use super::is_unknown;
use support::{Deadline, Redis, Redoubt, Wire};

/// The digest of `return 1`, as `SCRIPT LOAD` returns it.
const RETURN_1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

#[test]
fn blocked_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("policy.blocked", "[\"GET\"]").start();
    let mut session = redoubt.session();
    assert!(is_unknown(&mut session, &["GET", "k"]));
    assert_eq!(session.command(&["FLUSHALL"]), b"+OK\r\n");
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert!(is_unknown(&mut session, &["FLUSHALL"]));
    assert_eq!(session.command(&["GET", "k"]), b"$-1\r\n");
}

#[test]
fn escapes_takes_effect() {
    let redis = Redis::start();
    for (setting, unknown) in [("deny", true), ("allow", false)] {
        let redoubt = Redoubt::setup(&redis).set_text("policy.escapes", setting).start();
        assert_eq!(is_unknown(&mut redoubt.session(), &["ACL", "CAT"]), unknown, "{setting}");
    }
}

#[test]
fn allow_takes_effect() {
    let redis = Redis::start();
    for (allowed, unknown) in [("[]", true), ("[\"slowlog|RESET\"]", false)] {
        let redoubt = Redoubt::setup(&redis).set("policy.allow", allowed).start();
        let mut session = redoubt.session();
        assert_eq!(is_unknown(&mut session, &["SLOWLOG", "RESET"]), unknown, "{allowed}");
        let script = "return redis.call('SLOWLOG', 'RESET')";
        assert_eq!(session.command(&["EVAL", script, "0"]).starts_with(b"-"), unknown, "{allowed}");
        assert!(is_unknown(&mut session, &["LATENCY", "RESET"]));
    }
}

#[test]
fn guard_takes_effect() {
    let redis = Redis::start();
    let users = || redis.direct().command(&["ACL", "USERS"]);
    let _off = {
        let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "off").start();
        assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
        redoubt
    };
    assert_eq!(users(), b"*1\r\n$7\r\ndefault\r\n");
    let _auto = Redoubt::setup(&redis).set_text("policy.guard", "auto").start();
    assert!(Deadline::standard().poll(|| users().starts_with(b"*2\r\n")));
}

fn eval(wire: &mut Wire, script: &str) -> Vec<u8> {
    wire.command(&["EVAL", script, "0"])
}

#[test]
fn scripts_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(eval(&mut session, "return 1"), b":1\r\n");
    let redoubt = Redoubt::setup(&redis).set_text("policy.scripts", "deny").start();
    assert!(!eval(&mut redoubt.session(), "return 1").starts_with(b":"));
}

#[test]
fn pinned_scripts_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set_text("policy.scripts", "pinned")
        .set("policy.pinned_scripts", format!("[\"{RETURN_1}\"]"))
        .start();
    let mut session = redoubt.session();
    assert_eq!(eval(&mut session, "return 1"), b":1\r\n");
    assert!(eval(&mut session, "return 2").starts_with(b"-"));
}

#[test]
fn pinned_libraries_takes_effect() {
    let redis = Redis::start();
    for name in ["ours", "theirs"] {
        let code = format!(
            "#!lua name={name}\nredis.register_function('{name}', function() return 7 end)"
        );
        redis.direct().command(&["FUNCTION", "LOAD", &code]);
    }
    let redoubt = Redoubt::setup(&redis)
        .set_text("policy.scripts", "pinned")
        .set("policy.pinned_libraries", "[\"ours\"]")
        .start();
    let mut session = redoubt.session();
    assert!(Deadline::standard().poll(|| session.command(&["FCALL", "ours", "0"]) == b":7\r\n"));
    assert!(session.command(&["FCALL", "theirs", "0"]).starts_with(b"-"));
}

fn is_answered(redoubt: &Redoubt, command: &[&str]) -> bool {
    let mut wire = redoubt.session();
    Deadline::standard().poll(|| !is_unknown(&mut wire, command))
}

#[test]
fn policy_compat_config_get_takes_effect() {
    let redis = Redis::start();
    let (get, set) = (["CONFIG", "GET", "timeout"], ["CONFIG", "SET", "timeout", "0"]);
    let redoubt = Redoubt::setup(&redis).set("policy.compat.config_get", true).start();
    assert!(is_answered(&redoubt, &get));
    assert!(is_unknown(&mut redoubt.session(), &set));
    let redoubt = Redoubt::start(&redis);
    assert!(is_unknown(&mut redoubt.session(), &get));
}

#[test]
fn policy_compat_notify_keyspace_events_takes_effect() {
    let redis = Redis::start();
    let set = ["CONFIG", "SET", "notify-keyspace-events", ""];
    let redoubt = Redoubt::setup(&redis).set("policy.compat.notify_keyspace_events", true).start();
    assert!(is_answered(&redoubt, &set));
    assert!(is_unknown(&mut redoubt.session(), &["CONFIG", "GET", "timeout"]));
    let redoubt = Redoubt::start(&redis);
    assert!(is_unknown(&mut redoubt.session(), &set));
}

#[test]
fn policy_compat_flush_takes_effect() {
    let redis = Redis::start();
    let redoubt =
        Redoubt::setup(&redis).set("policy.compat.flush", "{ prefix = \"cache:\" }").start();
    assert!(is_answered(&redoubt, &["FLUSHDB"]));
    let mut session = redoubt.session();
    for key in ["cache:1", "other"] {
        session.command(&["SET", key, "1"]);
    }
    assert_eq!(session.command(&["FLUSHALL"]), b"+OK\r\n");
    assert_eq!(session.command(&["EXISTS", "cache:1", "other"]), b":1\r\n");
    assert!(is_unknown(&mut session, &["CONFIG", "GET", "timeout"]));
    assert!(is_unknown(&mut Redoubt::start(&redis).session(), &["FLUSHDB"]));
}
