//! Starts and reloads: rules that Redis does not take, and what a change of one identity does to the others.

use support::lines::field;
use support::{Redis, Redoubt, Wire, secret, servers};

use crate::{Identities, fill, texts};

const ALL: &str = "[\"~*\", \"&*\", \"+@all\"]";

fn pings(wire: &mut Wire) -> bool {
    wire.offer(b"PING\r\n") && wire.try_receive().is_some_and(|read| read > 0)
}

#[test]
fn a_rule_that_redis_does_not_take_stops_the_start_with_its_place_and_redis_words() {
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set_text("identities.worker.password", &secret());
    let mut redoubt = setup.set("identities.worker.acl", "[\"~*\", \"+nonsense\"]").start();
    assert_eq!(redoubt.wait().code(), Some(1));
    let log = redoubt.log().all().join("\n");
    assert!(log.contains("identities.worker.acl: ERR Error in ACL SETUSER modifier"), "{log}");
    assert!(log.contains("Unknown command or category name in ACL"), "{log}");
    assert!(log.contains("redoubt.toml:"), "{log}");
}

#[test]
fn a_rule_that_redis_does_not_take_changes_nothing_at_a_reload() {
    let mut identities = Identities::start(
        servers::tested(),
        &[("one", &[("acl", "[\"~a\", \"+get\", \"+set\"]")])],
    );
    let mut session = identities.session("one");
    assert_eq!(session.command(&["SET", "a", "1"]), b"+OK\r\n");
    identities.redoubt.write("identities.one.acl", Some("[\"~b\", \"+get\", \"+nonsense\"]"));
    let line = identities.redoubt.reload();
    assert!(line.contains("Error in ACL SETUSER modifier"), "{line}");
    assert_eq!(session.command(&["SET", "a", "2"]), b"+OK\r\n");
    assert!(texts(&session.command(&["GET", "b"])).starts_with("-NOPERM"));
}

#[test]
fn new_rights_hold_at_once_on_open_sessions() {
    let mut identities = Identities::start(
        servers::tested(),
        &[("one", &[("acl", "[\"~a\", \"+get\", \"+set\"]")]), ("two", &[("acl", ALL)])],
    );
    let (mut one, mut two) = (identities.session("one"), identities.session("two"));
    assert_eq!(one.command(&["SET", "a", "1"]), b"+OK\r\n");
    two.command(&["MULTI"]);
    identities.redoubt.write("identities.one.acl", Some("[\"~a\", \"~b\", \"+get\"]"));
    let line = identities.redoubt.reload();
    assert_eq!(field(&line, "changed"), Some("identities.one.acl"), "{line}");
    assert!(texts(&one.command(&["SET", "a", "2"])).starts_with("-NOPERM"));
    assert_eq!(one.command(&["GET", "b"]), b"$-1\r\n");
    assert_eq!(two.command(&["GET", "a"]), b"+QUEUED\r\n", "another's transaction goes on");
    assert_eq!(two.command(&["EXEC"]), b"*1\r\n$1\r\n1\r\n");
}

#[test]
fn a_reload_that_removes_an_identity_closes_its_sessions_only() {
    let mut identities =
        Identities::start(servers::tested(), &[("one", &[("acl", ALL)]), ("two", &[("acl", ALL)])]);
    let (mut one, mut two) = (identities.session("one"), identities.session("two"));
    let mut client = identities.redoubt.session();
    for wire in [&mut one, &mut two, &mut client] {
        wire.command(&["SET", "a", "1"]);
    }
    for key in ["password", "acl"] {
        identities.redoubt.write(&format!("identities.one.{key}"), None);
    }
    let guards = |identities: &Identities| {
        let users = texts(&identities.redis.direct().command(&["ACL", "USERS"]));
        users.lines().filter(|line| line.starts_with("redoubt-")).count()
    };
    assert_eq!(guards(&identities), 3);
    let line = identities.redoubt.reload();
    assert!(line.contains("\"closed_sessions\":1"), "{line}");
    assert_eq!(field(&line, "changed"), Some("identities.one"), "{line}");
    assert!(!pings(&mut one));
    assert!(pings(&mut two) && pings(&mut client));
    assert_eq!(guards(&identities), 2, "its guard is gone");
    let mut again = identities.redoubt.connect();
    let refused = texts(&again.command(&["AUTH", "one", identities.password("one")]));
    assert!(refused.starts_with("-WRONGPASS"), "{refused}");
}

#[test]
fn an_identity_that_a_reload_adds_is_served() {
    let mut identities = Identities::start(servers::tested(), &[("one", &[("acl", ALL)])]);
    let password = secret();
    identities.redoubt.write("identities.two.password", Some(&format!("{password:?}")));
    identities.redoubt.write("identities.two.acl", Some("[\"~b\", \"+get\"]"));
    let line = identities.redoubt.reload();
    assert_eq!(field(&line, "changed"), Some("identities.two"), "{line}");
    let mut two = identities.redoubt.connect();
    assert_eq!(two.command(&["AUTH", "two", &password]), b"+OK\r\n");
    assert_eq!(two.command(&["GET", "b"]), b"$-1\r\n");
    assert!(texts(&two.command(&["GET", "a"])).starts_with("-NOPERM"));
}

#[test]
fn a_guard_that_somebody_deletes_is_made_again() {
    let identities = Identities::start(
        servers::tested(),
        &[("one", &[("acl", "[\"~a\", \"+get\"]")]), ("two", &[("acl", ALL)])],
    );
    let mut direct = identities.redis.direct();
    for _ in 0..3 {
        let users = texts(&direct.command(&["ACL", "USERS"]));
        for user in users.lines().filter(|line| line.starts_with("redoubt-")) {
            direct.command(&["ACL", "DELUSER", user]);
        }
        let mut one = identities.session("one");
        assert_eq!(one.command(&["GET", "a"]), b"$-1\r\n");
        assert!(texts(&one.command(&["GET", "b"])).starts_with("-NOPERM"));
        let mut two = identities.session("two");
        assert_eq!(two.command(&["SET", "b", "1"]), b"+OK\r\n");
    }
}

#[test]
fn a_restart_of_redis_gives_each_identity_its_own_rights_again() {
    let mut identities = Identities::start(
        servers::tested(),
        &[("one", &[("acl", "[\"~a\", \"+get\"]")]), ("two", &[("acl", ALL)])],
    );
    fill(&identities.redis, &[&["SET", "b", "1"]]);
    identities.redis.kill();
    identities.redis.restart();
    identities.redoubt.wait_until_it_serves();
    let mut one = identities.session("one");
    assert_eq!(one.command(&["GET", "a"]), b"$-1\r\n");
    assert!(texts(&one.command(&["GET", "b"])).starts_with("-NOPERM"));
}

#[test]
fn a_switched_off_user_of_an_acl_file_cannot_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let (path, password) = (dir.path().join("users.acl"), secret());
    let write = |on: &str| {
        let text = format!("user default on nopass\nuser one {on} >{password} ~w:* +get +set\n");
        std::fs::write(&path, text).unwrap();
    };
    write("on");
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis);
    let redoubt = setup.set_text("identities.one.acl_file", path.to_str().unwrap()).start();
    redoubt.wait_until_it_knows_its_server();
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "one", &password]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "w:1", "x"]), b"+OK\r\n");
    assert!(texts(&session.command(&["GET", "a"])).starts_with("-NOPERM"));
    write("off");
    let line = redoubt.reload();
    assert_eq!(field(&line, "changed"), Some("identities.one.acl_file"), "{line}");
    assert!(!pings(&mut session));
    let refused = texts(&redoubt.connect().command(&["AUTH", "one", &password]));
    assert!(refused.starts_with("-WRONGPASS"), "{refused}");
}

/// Returns whether the identity `one` accepts this password.
fn accepts(redoubt: &Redoubt, password: &str) -> bool {
    redoubt.connect().command(&["AUTH", "one", password]) == b"+OK\r\n"
}

#[test]
fn passwords_of_an_identity_change_by_a_reload_and_by_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{:?}", path.display().to_string())
    };
    let mut identities = Identities::start(servers::tested(), &[("one", &[("acl", ALL)])]);
    let first = identities.password("one").to_owned();
    let mut session = identities.session("one");
    let redoubt = &mut identities.redoubt;
    let (second, third) = (secret(), secret());
    // With the old password as the previous one, its sessions stay.
    redoubt.write("identities.one.password", Some(&format!("{second:?}")));
    redoubt.write("identities.one.previous_password", Some(&format!("{first:?}")));
    redoubt.write("identities.one.previous_until", Some("\"2100-01-31T12:00:00Z\""));
    assert!(redoubt.reload().contains("\"closed_sessions\":0"));
    assert!(accepts(redoubt, &first) && accepts(redoubt, &second));
    assert!(pings(&mut session));
    let previous = file("previous", &first);
    redoubt.write("identities.one.previous_password", None);
    redoubt.write("identities.one.previous_password_file", Some(&previous));
    redoubt.reload();
    assert!(accepts(redoubt, &first) && pings(&mut session));
    for key in ["previous_password_file", "previous_until", "password"] {
        redoubt.write(&format!("identities.one.{key}"), None);
    }
    let own = file("own", &second);
    redoubt.write("identities.one.password_file", Some(&own));
    assert!(redoubt.reload().contains("\"closed_sessions\":1"));
    assert!(!pings(&mut session) && !accepts(redoubt, &first));
    // The file is watched.
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "one", &second]), b"+OK\r\n");
    let beside = dir.path().join("beside");
    std::fs::write(&beside, &third).unwrap();
    std::fs::rename(&beside, dir.path().join("own")).unwrap();
    assert_eq!(session.read_to_close(), b"");
    assert!(accepts(redoubt, &third) && !accepts(redoubt, &second));
}

#[test]
fn databases_and_the_mode_of_an_identity_change_by_a_reload() {
    let mut identities = Identities::start(
        servers::tested(),
        &[("one", &[("acl", "[\"~a\", \"+get\", \"+select\"]"), ("databases", "[0]")])],
    );
    let mut session = identities.session("one");
    assert!(texts(&session.command(&["SELECT", "1"])).starts_with("-NOPERM"));
    identities.redoubt.write("identities.one.databases", Some("[0, 1]"));
    let line = identities.redoubt.reload();
    assert_eq!(field(&line, "changed"), Some("identities.one.databases"), "{line}");
    assert_eq!(session.command(&["SELECT", "1"]), b"+OK\r\n");
    assert!(texts(&session.command(&["SELECT", "2"])).starts_with("-NOPERM"));
    assert!(texts(&session.command(&["GET", "b"])).starts_with("-NOPERM"));
    identities.redoubt.write("identities.one.mode", Some("\"observe\""));
    let line = identities.redoubt.reload();
    assert_eq!(field(&line, "changed"), Some("identities.one.mode"), "{line}");
    assert_eq!(session.command(&["GET", "b"]), b"$-1\r\n");
}

#[test]
fn the_operators_user_of_an_identity_changes_by_a_reload() {
    let redis = Redis::start();
    let (password, upstream) = (secret(), secret());
    let login = format!(">{upstream}");
    for (user, key) in [("op", "~a"), ("other", "~b")] {
        fill(&redis, &[&["ACL", "SETUSER", user, "on", &login, key, "+get"]]);
    }
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", "audit")
        .set_text("identities.one.password", &password)
        .set("identities.one.acl", "[\"~*\", \"+get\"]")
        .start();
    redoubt.wait_until_it_knows_its_server();
    assert!(!accepts(&redoubt, &password), "it has no user");
    redoubt.write("identities.one.upstream_user", Some("\"op\""));
    redoubt.write("identities.one.upstream_password", Some(&format!("{upstream:?}")));
    redoubt.reload();
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "one", &password]), b"+OK\r\n");
    assert_eq!(session.command(&["GET", "a"]), b"$-1\r\n");
    assert!(texts(&session.command(&["GET", "b"])).starts_with("-NOPERM"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upstream");
    std::fs::write(&path, &upstream).unwrap();
    redoubt.write("identities.one.upstream_password", None);
    let path = format!("{:?}", path.display().to_string());
    redoubt.write("identities.one.upstream_password_file", Some(&path));
    redoubt.write("identities.one.upstream_user", Some("\"other\""));
    redoubt.reload();
    assert_eq!(session.command(&["GET", "b"]), b"$-1\r\n");
    assert!(texts(&session.command(&["GET", "a"])).starts_with("-NOPERM"));
}
