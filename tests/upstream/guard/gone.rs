//! The guard is lost in several ways, and created again before any client's command is forwarded.

use super::{KEPT, assert_flush_is_refused, guards, keep, logged, text};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// Requests the kept value, on a link that may have been lost a moment ago.
fn get_kept_value(session: &mut Wire) {
    let reply = session.command(&["GET", "app:kept"]);
    assert!(reply == KEPT, "{}", shown(&reply));
}

/// Waits until Redoubt has noticed that its links are closed: Redis has only the watch's new link.
fn links_are_gone(redis: &Redis, redoubt: &Redoubt, from: usize) {
    logged(redoubt, from, "guard renewed");
    let only_the_watch = || redis.clients() <= 1;
    assert!(Deadline::standard().poll(only_the_watch), "{} clients", redis.clients());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_redis_restart_closes_no_session_without_pending_replies() {
    let mut redis = Redis::start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut sessions: Vec<_> = (0..10).map(|_| redoubt.session()).collect();
    sessions.iter_mut().for_each(get_kept_value);
    for round in 1..=2 {
        let said = redoubt.log().count();
        redis.kill();
        logged(&redoubt, said, "upstream is unavailable");
        redis.restart();
        keep(&redis);
        // The clients arrive before the watch may have noticed, all at once.
        let get = frame::request(&["GET", "app:kept"]);
        sessions.iter_mut().for_each(|session| session.send(&get));
        for session in &mut sessions {
            let reply = session.frame();
            assert!(reply == KEPT, "round {round}: {}", shown(&reply));
        }
        let mut scripted = sessions.pop().unwrap();
        assert_flush_is_refused(&redis, &mut scripted);
        assert_eq!(guards(&redis).len(), 1, "one renewal for all");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_deleted_guard_is_created_again() {
    let redis = Redis::start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut sessions: Vec<_> = (0..5).map(|_| redoubt.session()).collect();
    for _ in 0..2 {
        sessions.iter_mut().for_each(get_kept_value);
        let [name] = &guards(&redis)[..] else { panic!("one guard") };
        let said = redoubt.log().count();
        assert_eq!(redis.direct().command(&["ACL", "DELUSER", name]), b":1\r\n");
        links_are_gone(&redis, &redoubt, said);
        sessions.iter_mut().for_each(get_kept_value);
        // A session that has used scripts ends with the links.
        assert_flush_is_refused(&redis, &mut redoubt.session());
        assert_eq!(guards(&redis).len(), 1);
        assert!(!guards(&redis).contains(name), "a new name");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_disabled_guard_is_replaced() {
    let redis = Redis::start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut old = redoubt.session();
    get_kept_value(&mut old);
    let [name] = &guards(&redis)[..] else { panic!("one guard") };
    assert_eq!(redis.direct().command(&["ACL", "SETUSER", name, "off"]), b"+OK\r\n");
    // The existing links continue, and new links log in as another guard.
    get_kept_value(&mut old);
    let said = redoubt.log().count();
    let mut new = redoubt.session();
    assert_eq!(new.command(&["BLPOP", "nothing", "0.01"]), b"*-1\r\n");
    logged(&redoubt, said, "guard renewed");
    assert_flush_is_refused(&redis, &mut new);
    get_kept_value(&mut old);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn acl_load_removes_the_guard_only_for_a_short_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.acl");
    let password = support::secret();
    let users = format!("user default on >{password} ~* &* +@all\n");
    std::fs::write(&file, users).unwrap();
    let aclfile = format!("aclfile {}", file.display());
    let redis = Redis::setup().password(&password).config(&aclfile).start();
    keep(&redis);
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    get_kept_value(&mut session);
    for _ in 0..2 {
        let said = redoubt.log().count();
        assert_eq!(redis.direct().command(&["ACL", "LOAD"]), b"+OK\r\n");
        links_are_gone(&redis, &redoubt, said);
        get_kept_value(&mut session);
        assert_flush_is_refused(&redis, &mut redoubt.session());
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn closing_only_the_watch_connection_renews_no_guard() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    logged(&redoubt, 0, "guard made");
    let before = guards(&redis);
    let mut direct = redis.direct();
    for _ in 0..3 {
        let killed = direct.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(killed.starts_with(b":") && killed != b":0\r\n", "{}", shown(&killed));
        let is_back = || text(&direct.command(&["CLIENT", "LIST"])).contains(&before[0]);
        assert!(Deadline::standard().poll(is_back), "the watch does not come back");
    }
    assert_eq!(guards(&redis), before);
    let renewed = redoubt.log().all().iter().any(|line| line.contains("guard renewed"));
    assert!(!renewed, "the guard was renewed though it existed");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn several_redoubts_of_one_redis_keep_their_own_guards() {
    let redis = Redis::start();
    keep(&redis);
    let mut first = Redoubt::start(&redis);
    let second = Redoubt::start(&redis);
    let mut sessions = [first.session(), second.session()];
    sessions.iter_mut().for_each(get_kept_value);
    assert_eq!(guards(&redis).len(), 2);
    support::signal(first.pid(), "TERM");
    assert_eq!(first.wait().code(), Some(0));
    get_kept_value(&mut sessions[1]);
    assert_eq!(guards(&redis).len(), 1);
    assert_flush_is_refused(&redis, &mut sessions[1]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn abandoned_guards_are_removed() {
    let redis = Redis::start();
    let mut direct = redis.direct();
    let now = text(&direct.command(&["TIME"]));
    let now: u64 = now.lines().nth(2).unwrap().parse().unwrap();
    let old = format!("redoubt-{:x}-00000000000000aa", now - 100);
    let used = format!("redoubt-{:x}-00000000000000bb", now - 100);
    let young = format!("redoubt-{now:x}-00000000000000cc");
    let own = "redoubt-of-the-operator";
    for user in [&old, &used, &young, own] {
        let made = direct.command(&["ACL", "SETUSER", user, "on", ">pw", "~*", "+@all"]);
        assert_eq!(made, b"+OK\r\n");
    }
    let mut using = Wire::connect(redis.address());
    assert_eq!(using.command(&["AUTH", &used, "pw"]), b"+OK\r\n");
    let redoubt = Redoubt::start(&redis);
    assert!(logged(&redoubt, 0, "stale guards removed").contains("\"count\":1"));
    logged(&redoubt, 0, "guard made");
    let left = guards(&redis);
    assert!(!left.contains(&old), "{left:?}");
    for kept in [&used, &young, own] {
        assert!(left.iter().any(|name| name == kept), "{left:?}");
    }
}
