//! A changed policy applies inside scripts from the reload's answer on.

use super::scripts::{SCRIPT, log_length, while_scripts_run};
use super::{change, reloaded, text};
use support::frame::request;
use support::servers::refusals;
use support::{Deadline, Redis, Redoubt, lines, shown, signal};

fn guards(redis: &Redis) -> Vec<String> {
    let users = text(&redis.direct().command(&["ACL", "USERS"]));
    users.lines().filter(|line| line.starts_with("redoubt-")).map(str::to_owned).collect()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_stricter_policy_applies_in_scripts_and_closes_no_session() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set("workers", 2).start();
    let mut session = redoubt.session();
    session.command(&["PING"]);
    let before = guards(&redis);
    let stricter = |redoubt: &mut Redoubt| {
        assert_eq!(change(redoubt, "policy.blocked", "[\"APPEND\"]"), 0);
    };
    assert_eq!(while_scripts_run(&redis, &mut redoubt, stricter), 0, "sessions were closed");
    assert_eq!(guards(&redis), before, "the guard stays, and is the only one");
    // A less strict policy lets them run from the answer on.
    change(&mut redoubt, "policy.blocked", "[]");
    assert!(session.command(&SCRIPT).starts_with(b":"));
    assert!(session.command(&["APPEND", "log", "x"]).starts_with(b":"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_stricter_policy_applies_to_commands_queued_in_a_transaction() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["APPEND", "log", "x"]), b"+QUEUED\r\n");
    assert_eq!(session.command(&SCRIPT), b"+QUEUED\r\n");
    assert_eq!(session.command(&["SET", "k", "v"]), b"+QUEUED\r\n");
    assert_eq!(change(&mut redoubt, "policy.blocked", "[\"APPEND\"]"), 0);
    let replies = session.command(&["EXEC"]);
    assert!(text(&replies).starts_with("*3\r\n-NOPERM"), "{}", shown(&replies));
    assert!(replies.ends_with(b"+OK\r\n"), "{}", shown(&replies));
    assert_eq!(log_length(&redis), b":0\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_policy_change_closes_no_blocked_or_subscribed_session() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let (mut blocked, mut subscribed) = (redoubt.session(), redoubt.session());
    blocked.send(&request(&["BLPOP", "list", "0"]));
    subscribed.command(&["SUBSCRIBE", "channel"]);
    let mut other = redoubt.session();
    assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
    change(&mut redoubt, "policy.blocked", "[\"APPEND\", \"XGROUP|DESTROY\"]");
    change(&mut redoubt, "policy.blocked", "[\"XGROUP\"]");
    assert_eq!(other.command(&["PUBLISH", "channel", "m"]), b":1\r\n");
    subscribed.expect(b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$1\r\nm\r\n");
    assert_eq!(other.command(&["RPUSH", "list", "v"]), b":1\r\n");
    blocked.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_first_rule_of_a_policy_provisions_a_guard() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set("policy.blocked", "[]").set("workers", 2);
    let mut redoubt = setup.set_text("policy.escapes", "allow").start();
    while_scripts_run(&redis, &mut redoubt, |redoubt| {
        change(redoubt, "policy.blocked", "[\"APPEND\"]");
    });
    assert_eq!(guards(&redis).len(), 1);
    let mut session = redoubt.session();
    let reply = text(&session.command(&SCRIPT));
    assert!(refusals(&reply) > 0, "{reply}");
    assert_eq!(session.command(&["EVAL", "return redis.call('SET', 'k', 'v')", "0"]), b"+OK\r\n");
    // The last rule is removed, and the command that it refused runs.
    change(&mut redoubt, "policy.blocked", "[]");
    assert!(session.command(&SCRIPT).starts_with(b":"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scripts_that_redis_has_received_finish_before_the_reload_answer() {
    const SCRIPTS: usize = 1000;
    const SIZE: usize = 2 << 10;
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set("policy.blocked", "[]");
    let setup = setup.set_text("upstream.connect_timeout", "20s");
    let mut redoubt = setup.set_text("policy.escapes", "allow").start();
    // The scripts are long and slow, so that Redis reads a few of them at a time and the rest waits at
    // its socket.
    let code = "for i = 1, 20000 do end return redis.call('APPEND', 'log', 'x')";
    let code = format!("{code} --{}", "-".repeat(SIZE));
    let scripts = request(&["EVAL", &code, "0"]).repeat(SCRIPTS);
    let mut session = redoubt.session();
    std::thread::scope(|scope| {
        scope.spawn(|| session.offer(&scripts));
        assert!(Deadline::standard().poll(|| log_length(&redis).len() > 4), "no scripts run");
        change(&mut redoubt, "policy.blocked", "[\"APPEND\"]");
        let at_the_answer = text(&log_length(&redis));
        for _ in 0..100 {
            assert_eq!(
                text(&log_length(&redis)),
                at_the_answer,
                "a script ran after the reload's answer"
            );
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scripts_are_refused_if_no_guard_enforces_the_new_policy() {
    let redis = Redis::start();
    let password = format!(">{}", redis.password());
    let user = ["ACL", "SETUSER", "app", "on", &password, "~*", "&*", "+@all", "-debug"];
    redis.direct().command(&user);
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", "audit")
        .set_text("upstream.user", "app")
        .set("policy.blocked", "[\"DEBUG\"]")
        .set_text("policy.escapes", "allow")
        .set("workers", 2)
        .start();
    while_scripts_run(&redis, &mut redoubt, |redoubt| {
        change(redoubt, "policy.blocked", "[\"DEBUG\", \"APPEND\"]");
    });
    let mut session = redoubt.session();
    assert!(
        session.command(&["EVAL", "return 7", "0"]).starts_with(b"-ERR unknown command 'EVAL'")
    );
    // The policy refuses again what the user may not run.
    change(&mut redoubt, "policy.blocked", "[\"DEBUG\"]");
    assert_eq!(redoubt.session().command(&["EVAL", "return 7", "0"]), b":7\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_policy_change_without_redis_applies_when_redis_is_back() {
    let mut redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    assert!(redoubt.session().command(&SCRIPT).starts_with(b":"));
    redis.kill();
    redoubt.write("policy.blocked", Some("[\"APPEND\"]"));
    reloaded(&redoubt, "policy.blocked", "");
    let reported = |line: &str| line.contains("upstream cannot be reached");
    assert!(redoubt.log().wait(reported).is_some());
    redis.restart();
    let mut session = redoubt.session();
    let is_back = || {
        let mut wire = redoubt.session();
        wire.offer(&request(&["GET", "k"]));
        wire.receive();
        wire.received() == b"$-1\r\n"
    };
    assert!(Deadline::standard().poll(is_back));
    let reply = text(&session.command(&SCRIPT));
    assert!(refusals(&reply) > 0, "{reply}");
    assert_eq!(guards(&redis).len(), 1);
    assert_eq!(log_length(&redis), b":0\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scripts_wait_after_a_policy_change_while_redis_does_not_answer() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "500ms");
    let mut redoubt = setup.start();
    let mut plain = redoubt.session();
    assert_eq!(plain.command(&["PING"]), b"+PONG\r\n");
    let mut queued = redoubt.session();
    assert_eq!(queued.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(queued.command(&SCRIPT), b"+QUEUED\r\n");
    let old = guards(&redis);
    signal(redis.pid(), "STOP");
    redoubt.write("policy.blocked", Some("[\"APPEND\"]"));
    assert_eq!(reloaded(&redoubt, "policy.blocked", ""), 1);
    assert_eq!(queued.read_to_close(), b"", "its transaction may hold what is refused now");
    let mut session = redoubt.session();
    assert!(session.command(&["APPEND", "log", "x"]).starts_with(b"-ERR unknown command"));
    let from = redoubt.log().count();
    signal(redis.pid(), "CONT");
    let made = |line: &str| {
        let message = lines::field(line, "message").unwrap_or_default();
        message.starts_with("guard renewed") || message.starts_with("guard made")
    };
    assert!(redoubt.log().wait_from(from, made).is_some());
    let reply = text(&redoubt.session().command(&SCRIPT));
    assert!(refusals(&reply) > 0, "{reply}");
    assert_ne!(guards(&redis), old, "the old guard is gone with its links");
    assert_eq!(log_length(&redis), b":0\r\n");
}
