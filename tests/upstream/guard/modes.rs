//! The other modes, and users that have fewer rights.

use super::{KEPT, assert_flush_is_refused, guards, keep, logged, text, users};
use redoubt_core::policy::Escapes;
use support::redoubt::Setup;
use support::servers::refusals;
use support::{Redis, Redoubt, Wire, frame, secret, shown};

/// Creates a user with these rights, and returns the setup of a Redoubt that is configured with it.
fn with_user(redis: &Redis, rights: &[&str]) -> (Setup, String) {
    let password = secret();
    let hidden = format!(">{password}");
    let mut words = vec!["ACL", "SETUSER", "app", "reset", "on", &hidden];
    words.extend(rights);
    assert_eq!(redis.direct().command(&words), b"+OK\r\n");
    let setup = Redoubt::setup_for(redis, &password).set_text("upstream.user", "app");
    (setup, password)
}

/// Returns Redis's ACL, and the guards in it.
fn acl(redis: &Redis) -> String {
    text(&redis.direct().command(&["ACL", "LIST"]))
}

/// Returns rules that take away the escapes which the server does not call dangerous, as those of modules.
fn escapes_that_are_not_dangerous(redis: &Redis) -> Vec<String> {
    let mut direct = redis.direct();
    let mut list = |words: &[&str]| text(&direct.command(words)).to_lowercase();
    let (all, dangerous) = (list(&["COMMAND", "LIST"]), list(&["ACL", "CAT", "dangerous"]));
    let has = |list: &str, name: &str| list.lines().any(|line| line == name);
    let names = Escapes::rules().map(str::to_lowercase);
    let names = names.filter(|name| has(&all, name) && !has(&dangerous, name));
    names.map(|name| format!("-{name}")).collect()
}

fn flushes(session: &mut Wire) -> bool {
    session.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]) == b"+OK\r\n"
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_guard_has_no_more_rights_than_the_configured_user() {
    let redis = Redis::start();
    keep(&redis);
    let (setup, _) = with_user(&redis, &["~app:*", "resetchannels", "&app:*", "+@all"]);
    let redoubt = setup.start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
    let other = session.command(&["GET", "other"]);
    assert!(other.starts_with(b"-NOPERM"), "{}", shown(&other));
    let other = session.command(&["PUBLISH", "other", "x"]);
    assert!(other.starts_with(b"-NOPERM"), "{}", shown(&other));
    assert_flush_is_refused(&redis, &mut session);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_user_that_is_limited_to_databases_gets_a_guard_with_the_same_limit() {
    let redis = Redis::setup().server("valkey-9.1").start();
    keep(&redis);
    let (setup, _) = with_user(&redis, &["~*", "&*", "db=0,2", "+@all"]);
    let redoubt = setup.start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["EVAL", "return redis.call('GET', 'app:kept')", "0"]), KEPT);
    let flush = text(&session.command(&["EVAL", "return redis.call('FLUSHDB')", "0"]));
    assert!(flush.contains("has no permissions to run the 'flushdb'"), "{flush}");
    assert_eq!(session.command(&["SELECT", "2"]), b"+OK\r\n");
    // A database below one that is allowed may be refused too.
    for refused in ["1", "3"] {
        let other = redoubt.session().command(&["SELECT", refused]);
        assert!(other.starts_with(b"-NOPERM"), "{refused}: {}", shown(&other));
    }
    assert_eq!(guards(&redis).len(), 1);
    // The flush of all databases is refused because of the limit, before the command itself.
    let flush = session.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]);
    assert!(flush.starts_with(b"-"), "{}", shown(&flush));
    assert_eq!(redis.direct().command(&["GET", "app:kept"]), KEPT);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_selector_grants_the_guard_no_refused_command() {
    let redis = Redis::start();
    keep(&redis);
    let rights =
        ["~app:*", "&*", "+@all", "-flushall", "(~tmp:* +set +flushall)", "(%R~log:* +@all)"];
    let (setup, _) = with_user(&redis, &rights);
    let redoubt = setup.start();
    let mut session = redoubt.session();
    assert_flush_is_refused(&redis, &mut session);
    assert_eq!(session.command(&["SET", "tmp:1", "x"]), b"+OK\r\n");
    assert!(session.command(&["GET", "tmp:1"]).starts_with(b"-NOPERM"));
    assert_eq!(session.command(&["GET", "log:1"]), b"$-1\r\n");
    assert!(session.command(&["SET", "log:1", "x"]).starts_with(b"-NOPERM"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_guard_enforces_configured_rules() {
    let redis = Redis::start();
    keep(&redis);
    let blocked =
        "[\"FLUSHALL\", \"FLUSHDB\", \"DEL\", \"OBJECT|FREQ\", \"no.such\", \"no.such|word\"]";
    let redoubt = Redoubt::setup(&redis).set("policy.blocked", blocked).start();
    let mut session = redoubt.session();
    assert_flush_is_refused(&redis, &mut session);
    let deletes = ["EVAL", "return redis.call('DEL', 'app:kept')", "0"];
    let reply = text(&session.command(&deletes));
    assert!(refusals(&reply) > 0, "{reply}");
    let counts = ["EVAL", "return redis.call('OBJECT', 'FREQ', 'app:kept')", "0"];
    let reply = text(&session.command(&counts));
    assert!(refusals(&reply) > 0, "{reply}");
    let encodes = ["EVAL", "return redis.call('OBJECT', 'ENCODING', 'app:kept')", "0"];
    assert_eq!(session.command(&encodes), b"$6\r\nembstr\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn commands_that_redis_lacks_need_no_guard_rule() {
    let redis = Redis::setup().config("rename-command FLUSHDB \"\"").start();
    keep(&redis);
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "require").start();
    let mut session = redoubt.session();
    assert!(!flushes(&mut session));
    assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_user_that_may_not_write_the_acl_is_checked_instead() {
    let redis = Redis::start();
    keep(&redis);
    // It cannot even ask for its own name, so each command is checked in MULTI.
    let others = escapes_that_are_not_dangerous(&redis);
    let mut rights = vec!["~*", "&*", "+@all", "-@dangerous", "+keys"];
    rights.extend(others.iter().map(String::as_str));
    let (setup, _) = with_user(&redis, &rights);
    let redoubt = setup.start();
    let mut session = redoubt.session();
    logged(&redoubt, 0, "audited");
    assert_flush_is_refused(&redis, &mut session);
    assert_eq!(guards(&redis), [""; 0]);
    assert_eq!(users(&redis), ["app"]);
    assert_eq!(session.command(&["EVAL", "return 7", "0"]), b":7\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scripts_are_refused_for_a_user_with_too_many_rights_and_no_guard() {
    let redis = Redis::start();
    keep(&redis);
    for rights in [&["~*", "&*", "+@all", "-acl"][..], &["~*", "&*", "+@all", "-acl|setuser"]] {
        let (setup, _) = with_user(&redis, rights);
        let redoubt = setup.start();
        let line = logged(&redoubt, 0, "no guard");
        assert!(line.contains("ACL SETUSER app -"), "{line}");
        assert!(line.contains("flushall"), "{line}");
        let mut session = redoubt.session();
        assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
        assert!(!flushes(&mut session), "a script ran");
        assert_eq!(session.command(&["GET", "app:kept"]), KEPT);
        assert_eq!(guards(&redis), [""; 0]);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn sessions_get_the_guard_once_it_can_be_created() {
    let redis = Redis::start();
    keep(&redis);
    let (setup, _) = with_user(&redis, &["~*", "&*", "+@all", "-acl|setuser"]);
    let redoubt = setup.start();
    logged(&redoubt, 0, "no guard");
    logged(&redoubt, 0, "upstream is available");
    let mut leased = redoubt.session();
    assert_eq!(leased.command(&["WATCH", "app:kept"]), b"+OK\r\n");
    let mut other = redoubt.session();
    assert_eq!(other.command(&["GET", "app:kept"]), KEPT);

    let mut direct = redis.direct();
    assert_eq!(direct.command(&["ACL", "SETUSER", "app", "+acl|setuser"]), b"+OK\r\n");
    // The watch checks again when its connection, which is the oldest, has ended.
    let list = text(&direct.command(&["CLIENT", "LIST"]));
    let watch = list.lines().find(|line| line.contains("user=app")).expect("the watch");
    let id = watch.split(' ').next().unwrap().trim_start_matches("id=");
    assert_eq!(direct.command(&["CLIENT", "KILL", "ID", id]), b":1\r\n");
    logged(&redoubt, 0, "guard made");
    assert_eq!(leased.read_to_close(), b"", "its connection was not the guard's");
    assert_eq!(other.command(&["GET", "app:kept"]), KEPT);
    assert_flush_is_refused(&redis, &mut other);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn guard_audit_mode_writes_no_acl() {
    assert_audit_writes_no_acl(&Redis::start());
}

/// The user that the advice makes cannot ask for the setting.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_advice_of_guard_audit_mode_works_where_payloads_are_checked() {
    assert_audit_writes_no_acl(&Redis::setup().config("sanitize-dump-payload yes").start());
}

fn assert_audit_writes_no_acl(redis: &Redis) {
    keep(redis);
    let before = acl(redis);
    let redoubt = Redoubt::setup(redis).set_text("policy.guard", "audit").start();
    let line = logged(&redoubt, 0, "no guard");
    // The rights of `default`, as the server writes them.
    let default = before.lines().find_map(|line| line.strip_prefix("user default on ")).unwrap();
    let rights: Vec<_> = default.split(' ').filter(|word| !word.starts_with('#')).collect();
    let rights = rights.join(" ");
    let advised = format!("ACL SETUSER redoubt reset on >PASSWORD {rights} -");
    assert!(line.contains(&advised), "{advised}: {line}");
    assert!(!line.contains(redis.password()), "{line}");
    assert_eq!(redoubt.session().command(&["GET", "app:kept"]), KEPT);
    assert_eq!(acl(redis), before);
    drop(redoubt);

    // The advised command works as written.
    let (_, advice) = line.split_once("\"advice\":\"").unwrap();
    let (advice, _) = advice.split_once('"').unwrap();
    let password = secret();
    let advice = advice.replace("PASSWORD", &password);
    let words: Vec<_> = advice.split(' ').collect();
    assert!(words.contains(&"-restore"), "{advice}");
    assert_eq!(redis.direct().command(&words), b"+OK\r\n", "{advice}");
    let before = acl(redis);
    let setup = Redoubt::setup_for(redis, &password).set_text("upstream.user", "redoubt");
    let redoubt = setup.set_text("policy.guard", "audit").start();
    logged(&redoubt, 0, "audited");
    let mut session = redoubt.session();
    assert_flush_is_refused(redis, &mut session);
    assert_eq!(acl(redis), before);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn guard_require_mode_exits_if_no_guard_can_be_created() {
    let redis = Redis::start();
    let (setup, _) = with_user(&redis, &["~*", "&*", "+@all", "-acl|setuser"]);
    let mut redoubt = setup.set_text("policy.guard", "require").start();
    assert_eq!(redoubt.wait().code(), Some(1));
    let said = redoubt.log().wait(|line| line.starts_with("redoubt: policy.guard"));
    let said = said.expect("the reason for the exit is logged");
    assert!(said.contains("ACL SETUSER: NOPERM"), "{said}");
    assert_eq!(guards(&redis), [""; 0]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn guard_require_mode_waits_for_an_unavailable_upstream() {
    let mut redis = Redis::start();
    redis.kill();
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "require").start();
    logged(&redoubt, 0, "upstream is unavailable");
    let mut early = redoubt.connect();
    early.send(&frame::request(&["AUTH", redoubt.password()]));
    redis.restart();
    keep(&redis);
    logged(&redoubt, 0, "guard made");
    early.expect(b"+OK\r\n");
    assert_flush_is_refused(&redis, &mut early);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn guard_off_mode_creates_no_guard() {
    let redis = Redis::start();
    let before = acl(&redis);
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "off").start();
    let mut session = redoubt.session();
    assert!(flushes(&mut session));
    assert_eq!(users(&redis), ["default"]);
    assert_eq!(acl(&redis), before);
}
