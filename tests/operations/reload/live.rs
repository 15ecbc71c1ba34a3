//! Reloads that change who may connect, how the process stops, and what is logged.

use super::{change, reloaded, text};
use support::frame::request;
use support::{Redis, Redoubt, Wire, lines, now, signal, since};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_allowed_addresses() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut gone = redoubt.session();
    let mut stays = Wire::connect_from([127, 0, 0, 7], redoubt.address());
    assert_eq!(stays.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    gone.send(&request(&["BLPOP", "list", "0"]));
    stays.command(&["PING"]);
    assert_eq!(change(&mut redoubt, "allow", "[\"127.0.0.7\"]"), 1);
    assert_eq!(gone.read_to_close(), b"");
    assert_eq!(stays.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(redoubt.connect().read_to_close(), b"");
    let closed = |line: &str| lines::field(line, "reason") == Some("not_allowed");
    assert!(redoubt.log().wait(closed).is_some());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_proxy_protocol_from() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    change(&mut redoubt, "proxy_protocol_from", "[\"127.0.0.1\"]");
    let mut wire = redoubt.connect();
    wire.offer(&request(&["PING"]).repeat(4));
    assert_eq!(wire.read_to_close(), b"");
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_drain_delay() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    change(&mut redoubt, "drain_delay", "\"60s\"");
    signal(redoubt.pid(), "TERM");
    assert!(redoubt.log().wait(|line| line.contains("SIGTERM, stopping")).is_some());
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_shutdown_timeout() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", "60s").start();
    let mut session = redoubt.session();
    session.send(&request(&["MULTI"]));
    session.expect(b"+OK\r\n");
    signal(redis.pid(), "STOP");
    session.send(&request(&["PING"]));
    change(&mut redoubt, "shutdown_timeout", "\"100ms\"");
    let asked = now();
    signal(redoubt.pid(), "TERM");
    let code = redoubt.wait().code();
    signal(redis.pid(), "CONT");
    assert_eq!(code, Some(0));
    assert!(since(asked) < 20.0, "ended after {} s", since(asked));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_the_log_level() {
    let redis = Redis::start();
    let quiet = "info,redoubt::session=off";
    let mut redoubt = Redoubt::setup(&redis).set_text("log.level", quiet).start();
    let is_session = |line: &str| lines::field(line, "message") == Some("session opened");
    drop(redoubt.session());
    change(&mut redoubt, "log.level", "\"info\"");
    assert!(!redoubt.log().all().iter().any(|line| is_session(line)));
    let from = redoubt.log().count();
    drop(redoubt.session());
    assert!(redoubt.log().wait_from(from, is_session).is_some());
    change(&mut redoubt, "log.level", &format!("\"{quiet}\""));
    let from = redoubt.log().count();
    drop(redoubt.session());
    reloaded(&redoubt, "", "");
    assert!(!redoubt.log().all()[from..].iter().any(|line| is_session(line)));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_audit_keys() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set_text("audit.output", "stdout");
    let mut redoubt = setup.set("policy.blocked", "[\"GET\"]").start();
    let mut session = redoubt.session();
    session.command(&["GET", "first-key"]);
    change(&mut redoubt, "audit.keys", "\"plain\"");
    session.command(&["GET", "second-key"]);
    let tells = |line: &str| line.contains("command_refused") && line.contains("second-key");
    assert!(redoubt.log().wait(tells).is_some());
    let all = redoubt.log().all().join("\n");
    assert!(!all.contains("first-key"));
    // The change itself is in the log too.
    assert!(all.contains("\"event\":\"configuration_changed\",\"keys\":[\"audit.keys\"]"), "{all}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_what_is_recorded() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let learned =
        |redoubt: &Redoubt| support::http::http_get(redoubt.admin(), "/learn?identity=default").2;
    let mut session = redoubt.session();
    session.command(&["GET", "k"]);
    assert!(!learned(&redoubt).contains("+get"));
    change(&mut redoubt, "learn.record", "\"all\"");
    session.command(&["GET", "k"]);
    assert!(learned(&redoubt).contains("+get"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_blocked_commands_and_escapes() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert!(session.command(&["SWAPDB", "0", "1"]).starts_with(b"-ERR unknown command"));
    assert_eq!(change(&mut redoubt, "policy.allow", "[\"swapdb\"]"), 0);
    assert_eq!(session.command(&["SWAPDB", "0", "1"]), b"+OK\r\n");
    assert_eq!(change(&mut redoubt, "policy.allow", "[]"), 0);
    assert!(session.command(&["SWAPDB", "0", "1"]).starts_with(b"-ERR unknown command"));
    assert_eq!(change(&mut redoubt, "policy.escapes", "\"allow\""), 0);
    assert_eq!(session.command(&["SWAPDB", "0", "1"]), b"+OK\r\n");
    assert_eq!(change(&mut redoubt, "policy.blocked", "[\"SWAPDB\", \"GET\"]"), 0);
    assert!(session.command(&["SWAPDB", "0", "1"]).starts_with(b"-ERR unknown command"));
    assert!(session.command(&["GET", "k"]).starts_with(b"-ERR unknown command 'GET'"));
    assert_eq!(change(&mut redoubt, "policy.blocked", "[]"), 0);
    assert_eq!(session.command(&["GET", "k"]), b"$-1\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_which_scripts_run() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    let seven: &[&str] = &["EVAL", "return 7", "0"];
    assert_eq!(session.command(seven), b":7\r\n");
    assert_eq!(change(&mut redoubt, "policy.scripts", "\"deny\""), 0);
    assert!(session.command(seven).starts_with(b"-ERR unknown command 'EVAL'"));
    redoubt.write("policy.pinned_scripts", Some(&pin("return 8")));
    redoubt.write("policy.scripts", Some("\"pinned\""));
    reloaded(&redoubt, "policy.scripts policy.pinned_scripts", "");
    assert!(session.command(seven).starts_with(b"-"));
    assert_eq!(session.command(&["EVAL", "return 8", "0"]), b":8\r\n");
    change(&mut redoubt, "policy.pinned_scripts", &pin("return 7"));
    assert_eq!(session.command(seven), b":7\r\n");
    assert!(session.command(&["EVAL", "return 8", "0"]).starts_with(b"-"));
    // The functions of a library may run from the answer on.
    let library = "#!lua name=lib\nredis.register_function('nine', function() return 9 end)";
    redis.direct().command(&["FUNCTION", "LOAD", library]);
    assert!(session.command(&["FCALL", "nine", "0"]).starts_with(b"-"));
    change(&mut redoubt, "policy.pinned_libraries", "[\"lib\"]");
    assert_eq!(session.command(&["FCALL", "nine", "0"]), b":9\r\n");
    // A reload without a change keeps it for all clients.
    reloaded(&redoubt, "", "");
    assert_eq!(session.command(&["FCALL", "nine", "0"]), b":9\r\n");
}

/// Returns the list with the digest of one script.
fn pin(script: &str) -> String {
    let digest = <sha1::Sha1 as sha1::Digest>::digest(script.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[\"{hex}\"]")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn transactions_with_scripts_are_closed_by_a_stricter_policy() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let (mut queued, mut other) = (redoubt.session(), redoubt.session());
    assert_eq!(queued.command(&["MULTI"]), b"+OK\r\n");
    let set = ["EVAL", "return redis.call('SET', 'late', '1')", "0"];
    assert_eq!(queued.command(&set), b"+QUEUED\r\n");
    assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(change(&mut redoubt, "policy.scripts", "\"read-only\""), 1);
    queued.offer(&request(&["EXEC"]));
    assert_eq!(text(&queued.read_to_close()), "");
    assert_eq!(other.command(&["GET", "late"]), b"$-1\r\n");
    assert_eq!(other.command(&["EVAL_RO", "return 7", "0"]), b":7\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_which_forms_of_config_are_answered() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_knows_its_server();
    let mut session = redoubt.session();
    for (key, words) in [
        ("policy.compat.config_get", &["CONFIG", "GET", "timeout"][..]),
        ("policy.compat.notify_keyspace_events", &["CONFIG", "SET", "notify-keyspace-events", ""]),
    ] {
        assert!(session.command(words).starts_with(b"-ERR unknown command"), "{key}");
        change(&mut redoubt, key, "true");
        // The reload waits until the parameters have been read.
        assert!(!session.command(words).starts_with(b"-"), "{key}");
        change(&mut redoubt, key, "false");
        assert!(session.command(words).starts_with(b"-ERR unknown command"), "{key}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_what_flushdb_deletes() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_serves();
    let mut session = redoubt.session();
    let keys = ["a:1", "b:1"];
    for (value, left) in [
        ("{ prefix = \"a:\" }", b"*1\r\n$3\r\nb:1\r\n"),
        ("{ prefix = \"b:\" }", b"*1\r\n$3\r\na:1\r\n"),
    ] {
        for key in keys {
            session.command(&["SET", key, "1"]);
        }
        change(&mut redoubt, "policy.compat.flush", value);
        assert_eq!(session.command(&["FLUSHDB"]), b"+OK\r\n");
        assert_eq!(session.command(&["KEYS", "*"]), left);
    }
    redoubt.write("policy.compat.flush", Some("{ prefix = \"\" }"));
    assert!(redoubt.reload().contains("not reloaded"));
    assert_eq!(session.command(&["FLUSHALL"]), b"+OK\r\n");
    redoubt.write("policy.compat.flush", None);
    redoubt.reload();
    assert!(session.command(&["FLUSHDB"]).starts_with(b"-ERR unknown command"));
    assert_eq!(session.command(&["KEYS", "*"]), b"*1\r\n$3\r\na:1\r\n");
}
