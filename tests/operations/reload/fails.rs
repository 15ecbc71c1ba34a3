//! A reload that fails changes nothing.

use super::{change, quoted, reloaded, text};
use support::certificates::Authority;
use support::servers::refusals;
use support::tls::Caller;
use support::{Deadline, Redis, Redoubt, lines, secret, signal};

/// Checks that a reload fails, and returns the error.
fn fails(redoubt: &Redoubt) -> String {
    let line = redoubt.reload();
    let message = lines::field(&line, "message").unwrap_or_default();
    assert!(message.starts_with("configuration not reloaded"), "{line}");
    assert!(!line.contains(redoubt.password()), "{line}");
    lines::field(&line, "error").expect("an error").to_owned()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_failed_reload_reports_the_error_and_changes_nothing() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    redoubt.write("policy.blocked", Some("[\"DEL\"]"));
    redoubt.write("limits.max_sessions", Some("1"));
    redoubt.write("limits.auth_timeout", Some("\"soon\""));
    let error = fails(&redoubt);
    assert!(error.contains("limits.auth_timeout"), "{error}");
    assert_eq!(session.command(&["DEL", "k"]), b":0\r\n");
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    // The corrected configuration is put in force.
    redoubt.write("limits.auth_timeout", Some("\"9s\""));
    reloaded(&redoubt, "policy.blocked limits.max_sessions limits.auth_timeout", "");
    assert!(session.command(&["DEL", "k"]).starts_with(b"-ERR unknown command 'DEL'"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_with_a_password_that_redis_rejects_fails() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    let wrong = secret();
    redoubt.write("upstream.password", Some(&quoted(&wrong)));
    redoubt.write("policy.blocked", Some("[\"DEL\"]"));
    let error = fails(&redoubt);
    assert!(error.contains("WRONGPASS") && !error.contains(&wrong), "{error}");
    assert_eq!(session.command(&["DEL", "k"]), b":0\r\n");
    assert_eq!(session.command(&["EVAL", "return redis.call('DEL', 'k')", "0"]), b":0\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_fails_if_the_required_guard_cannot_be_provisioned() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("policy.guard", "require").start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["EVAL", "return 7", "0"]), b":7\r\n");
    // The default user may no longer write the ACL.
    redis.direct().command(&["ACL", "SETUSER", "default", "-acl|setuser"]);
    redoubt.write("policy.blocked", Some("[\"DEL\"]"));
    let error = fails(&redoubt);
    assert!(error.contains("ACL SETUSER"), "{error}");
    assert_eq!(session.command(&["DEL", "k"]), b":0\r\n");
    assert_eq!(session.command(&["EVAL", "return redis.call('DEL', 'k')", "0"]), b":0\r\n");
    // Without a change of the policy, no guard is provisioned.
    redoubt.write("policy.blocked", None);
    change(&mut redoubt, "limits.auth_attempts", "11");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_that_needs_a_guard_fails_while_redis_is_busy() {
    let redis = Redis::setup().config("lua-time-limit 10").start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    let mut looping = redis.direct();
    looping.send(&support::frame::request(&["EVAL", "while true do end", "0"]));
    let mut direct = redis.direct();
    assert!(Deadline::standard().poll(|| direct.command(&["PING"]).starts_with(b"-BUSY")));
    redoubt.write("policy.blocked", Some("[\"DEL\"]"));
    let error = fails(&redoubt);
    assert!(error.contains("BUSY"), "{error}");
    assert_eq!(direct.command(&["SCRIPT", "KILL"]), b"+OK\r\n");
    assert!(Deadline::standard().poll(|| !session.command(&["DEL", "k"]).starts_with(b"-BUSY")));
    assert_eq!(session.command(&["DEL", "k"]), b":0\r\n");
    reloaded(&redoubt, "policy.blocked", "");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_names_keys_that_need_a_restart_and_keeps_their_values() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set("policy.blocked", "[]").start();
    let mut session = redoubt.session();
    redoubt.write("upstream.sharing", Some("\"off\""));
    redoubt.write("upstream.url", Some("\"redis://127.0.0.1:1\""));
    redoubt.write("workers", Some("2"));
    redoubt.write("policy.guard", Some("\"off\""));
    redoubt.write("policy.blocked", Some("[\"DEL\"]"));
    redoubt.write("log.format", Some("\"text\""));
    let restart = "workers upstream.url upstream.sharing policy.guard log.format";
    assert_eq!(reloaded(&redoubt, "policy.blocked", restart), 0);
    // It is named at each reload as long as the file differs from what is in force, and does not count
    // as a change.
    assert_eq!(reloaded(&redoubt, "", restart), 0);
    let reply = text(&session.command(&["EVAL", "return redis.call('DEL', 'k')", "0"]));
    assert!(refusals(&reply) > 0, "{reply}");
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn signals_during_a_reload_cause_one_more_reload() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    for value in 1..=20 {
        redoubt.write("limits.auth_attempts", Some(&value.to_string()));
        signal(redoubt.pid(), "HUP");
    }
    redoubt.write("limits.auth_attempts", Some("2"));
    signal(redoubt.pid(), "HUP");
    // The last value is in force, however many reloads that took.
    let refused = || {
        let mut wire = redoubt.connect();
        wire.offer(&support::frame::request(&["PING"]).repeat(5));
        text(&wire.read_to_close()).matches("NOAUTH").count()
    };
    assert!(Deadline::standard().poll(|| refused() <= 3));
    let mut line = redoubt.reload();
    if lines::field(&line, "changed") != Some("") {
        line = redoubt.reload();
    }
    assert_eq!(lines::field(&line, "changed"), Some(""), "{line}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_with_an_unreadable_certificate_fails_and_keeps_the_old_one() {
    let (redis, authority) = (Redis::start(), Authority::new());
    let pair = authority.server("server");
    let path = |path: &std::path::Path| path.display().to_string();
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("listen", "tls://127.0.0.1:0")
        .set_text("tls.certificate", &path(&pair.certificate))
        .set_text("tls.key", &path(&pair.key))
        .start();
    std::fs::write(&pair.certificate, "nothing").unwrap();
    redoubt.write("limits.auth_attempts", Some("11"));
    let error = fails(&redoubt);
    assert!(error.contains("tls.certificate"), "{error}");
    drop(Caller::trusting(&authority.ca()).session(redoubt.address(), redoubt.password()));
    // Clients get the certificate of another authority once the reload is reported.
    let other = Authority::new();
    let new = other.server("server");
    std::fs::copy(&new.certificate, &pair.certificate).unwrap();
    std::fs::copy(&new.key, &pair.key).unwrap();
    reloaded(&redoubt, "limits.auth_attempts", "");
    drop(Caller::trusting(&other.ca()).session(redoubt.address(), redoubt.password()));
}
