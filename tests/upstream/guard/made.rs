//! With a user that may write the ACL, a guard is created.

use super::{KEPT, assert_flush_is_refused, guards, keep, logged, text, users, wrong_auth_in_exec};
use support::servers::refusals;
use support::{Deadline, Redis, Redoubt, frame, shown};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn with_a_guard_scripts_functions_and_transactions_cannot_flush() {
    let redis = Redis::start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_flush_is_refused(&redis, &mut session);
    let line = logged(&redoubt, 0, "guard made");
    let [name] = &guards(&redis)[..] else { panic!("one guard: {:?}", guards(&redis)) };
    assert!(line.contains(name.as_str()), "{line}");
    // A command that is not refused runs, in scripts too.
    assert_eq!(session.command(&["EVAL", "return redis.call('GET', 'app:kept')", "0"]), KEPT);
    assert_eq!(session.command(&["FCALL_RO", "look", "0"]), b":7\r\n");
    assert_eq!(session.command(&["SELECT", "3"]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(users(&redis), [name.as_str()]);
    let refused = session.command(&["FLUSHALL"]);
    assert!(refused.starts_with(b"-ERR unknown command 'FLUSHALL'"), "{}", shown(&refused));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn with_a_guard_sessions_with_own_links_cannot_flush() {
    let redis = Redis::start();
    keep(&redis);
    let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", "off").start();
    let mut session = redoubt.session();
    assert_flush_is_refused(&redis, &mut session);
    // A right AUTH in a transaction succeeds, and the link stays logged in as the guard.
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["AUTH", redoubt.password()]), b"+QUEUED\r\n");
    assert_eq!(session.command(&["AUTH", "wrong"]), b"+QUEUED\r\n");
    session.send(&frame::request(&["EXEC"]));
    session.expect(&[b"*2\r\n+OK\r\n", &*wrong_auth_in_exec(&redis)].concat());
    assert_flush_is_refused(&redis, &mut session);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_guards_secret_is_in_no_output() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("log.level", "trace").start();
    let mut monitor = redis.direct();
    assert_eq!(monitor.command(&["MONITOR"]), b"+OK\r\n");
    let mut session = redoubt.session();
    assert_eq!(session.command(&["EVAL", "return 7", "0"]), b":7\r\n");
    let [name] = &guards(&redis)[..] else { panic!("one guard") };
    let hashed = text(&redis.direct().command(&["ACL", "GETUSER", name]));
    let digest = hashed.lines().find(|line| line.len() == 64).expect("a digest").to_owned();
    let log = redoubt.log().all().join("\n");
    assert!(!log.contains(&digest), "the digest in the log");
    // A secret would be 64 hexadecimal digits.
    let digits =
        |text: &str| text.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() >= 64);
    assert!(!digits(&log), "a secret in the log:\n{log}");
    session.send(&frame::request(&["PING"]));
    session.expect(b"+PONG\r\n");
    assert!(!digits(&text(monitor.received())), "{}", text(monitor.received()));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_guard_is_removed_when_the_process_stops() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    assert_eq!(guards(&redis).len(), 1);
    support::signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    assert_eq!(guards(&redis), [""; 0]);
    assert!(Deadline::standard().poll(|| redis.clients() == 0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_refused_command_under_another_name_does_not_exist() {
    let redis = Redis::setup().config("rename-command FLUSHALL zz.wipe").start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    let unknown = b"-ERR unknown command 'zz.wipe', with args beginning with: 'ASYNC' \r\n";
    assert_eq!(session.command(&["zz.wipe", "ASYNC"]), unknown);
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["zz.wipe", "ASYNC"]), unknown);
    assert!(session.command(&["EXEC"]).starts_with(b"-EXECABORT"));
    let reply = text(&session.command(&["EVAL", "return redis.call('zz.wipe')", "0"]));
    assert!(refusals(&reply) > 0, "{reply}");
    let reply = session.command(&["zz.other", "x"]);
    assert_eq!(reply, b"-ERR unknown command 'zz.other', with args beginning with: 'x' \r\n");
    assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_request_before_the_guard_exists_removes_it() {
    let redis = Redis::setup().config("lua-time-limit 10").start();
    keep(&redis);
    let mut looping = redis.direct();
    looping.send(&frame::request(&["EVAL", "while true do end", "0"]));
    let mut direct = redis.direct();
    let is_busy = || direct.command(&["PING"]).starts_with(b"-BUSY");
    assert!(Deadline::standard().poll(is_busy), "Redis is not busy");
    // Redoubt can log in, and cannot create its guard.
    let redoubt = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "20s").start();
    logged(&redoubt, 0, "upstream is unavailable");
    let mut session = redoubt.session();
    let flush = frame::request(&["EVAL", "return redis.call('FLUSHALL')", "0"]);
    session.send(&frame::request(&["MULTI"]));
    session.send(&frame::request(&["AUTH", redoubt.password()]));
    session.send(&flush);
    session.send(&frame::request(&["EXEC"]));
    session.send(&flush);
    assert_eq!(direct.command(&["SCRIPT", "KILL"]), b"+OK\r\n");
    session.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    session.expect(&[b"*2\r\n", &*wrong_auth_in_exec(&redis)].concat());
    for _ in 0..2 {
        let reply = text(&session.frame());
        assert!(refusals(&reply) > 0, "{reply}");
    }
    assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["AUTH", redoubt.password()]), b"+QUEUED\r\n");
    assert_eq!(session.command(&["EXEC"]), b"*1\r\n+OK\r\n");
}
