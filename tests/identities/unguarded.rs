//! Where Redoubt makes no guard, an identity has the user that the operator has made for it, or is refused.

use support::{Redis, Redoubt, secret};

use crate::{Identities, fill, texts};

#[test]
fn an_identity_without_a_guard_logs_in_as_the_operators_user() {
    let redis = Redis::start();
    let (password, upstream) = (secret(), secret());
    let login = format!(">{upstream}");
    fill(
        &redis,
        &[&["ACL", "SETUSER", "op", "on", &login, "~a", "+get", "+eval", "+multi", "+exec"]],
    );
    let redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", "audit")
        .set_text("identities.worker.password", &password)
        .set("identities.worker.acl", "[\"~a\", \"+get\"]")
        .set_text("identities.worker.upstream_user", "op")
        .set_text("identities.worker.upstream_password", &upstream)
        .set_text("identities.other.password", &password)
        .set("identities.other.acl", "[\"~a\", \"+get\"]")
        .start();
    redoubt.wait_until_it_knows_its_server();
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "worker", &password]), b"+OK\r\n");
    assert_eq!(session.command(&["GET", "a"]), b"$-1\r\n");
    assert!(texts(&session.command(&["GET", "b"])).starts_with("-NOPERM"));
    assert!(texts(&session.command(&["SET", "a", "1"])).starts_with("-NOPERM"));
    assert_eq!(session.command(&["EVAL", "return 1", "0"]), b":1\r\n");
    // The other has no user, so nobody can log in as it.
    let refused = texts(&redoubt.connect().command(&["AUTH", "other", &password]));
    assert!(refused.starts_with("-WRONGPASS"), "{refused}");
    let log = redoubt.log().all().join("\n");
    assert!(log.contains("no guard for this identity: its sessions are refused"), "{log}");
    assert!(log.contains("identities.other.upstream_user"), "{log}");
}

#[test]
fn scripts_of_an_identity_whose_user_may_run_blocked_commands_are_refused() {
    let redis = Redis::start();
    let (password, upstream) = (secret(), secret());
    let login = format!(">{upstream}");
    fill(&redis, &[&["ACL", "SETUSER", "op", "on", &login, "~*", "+@all"]]);
    let redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", "audit")
        .set_text("identities.worker.password", &password)
        .set("identities.worker.acl", "[\"~*\", \"+@all\"]")
        .set_text("identities.worker.upstream_user", "op")
        .set_text("identities.worker.upstream_password", &upstream)
        .start();
    redoubt.wait_until_it_knows_its_server();
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "worker", &password]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "a", "1"]), b"+OK\r\n");
    let refused = texts(&session.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]));
    assert!(refused.starts_with("-ERR unknown command"), "{refused}");
    assert_eq!(session.command(&["GET", "a"]), b"$1\r\n1\r\n");
}

#[test]
fn an_identity_is_refused_while_its_user_is_missing_in_redis() {
    let rights: &[(&str, &str)] = &[
        ("acl", "[\"~a\", \"+get\"]"),
        ("upstream_user", "\"nobody\""),
        ("upstream_password", "\"0123456789abcdef0123456789abcdef\""),
    ];
    let redis = Redis::start();
    let password = secret();
    let mut setup = Redoubt::setup(&redis)
        .set_text("policy.guard", "audit")
        .set_text("identities.worker.password", &password);
    for (key, value) in rights {
        setup = setup.set(&format!("identities.worker.{key}"), value);
    }
    let redoubt = setup.start();
    redoubt.wait_until_it_knows_its_server();
    let refused = texts(&redoubt.connect().command(&["AUTH", "worker", &password]));
    assert!(refused.starts_with("-WRONGPASS"), "{refused}");
    // The others are served.
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}

#[test]
fn a_user_of_redis_that_may_not_change_the_acl_makes_no_guards() {
    let identities =
        Identities::start(support::servers::tested(), &[("one", &[("acl", "[\"~a\", \"+get\"]")])]);
    // Redoubt's own user loses its rights, and the guards are deleted: nothing may be served with too many rights.
    let mut direct = identities.redis.direct();
    let mut session = identities.session("one");
    assert_eq!(session.command(&["GET", "a"]), b"$-1\r\n");
    assert_eq!(
        direct.command(&["ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all"]),
        b"+OK\r\n"
    );
    assert_eq!(direct.command(&["AUTH", "admin", "admin"]), b"+OK\r\n");
    assert_eq!(direct.command(&["ACL", "SETUSER", "default", "-acl"]), b"+OK\r\n");
    let users = texts(&direct.command(&["ACL", "USERS"]));
    for user in users.lines().filter(|line| line.starts_with("redoubt-")) {
        direct.command(&["ACL", "DELUSER", user]);
    }
    let refused =
        |line: &str| line.contains("no guard for this identity: its sessions are refused");
    assert!(identities.redoubt.log().wait(refused).is_some());
    let served = support::Deadline::standard().poll(|| {
        let mut wire = identities.redoubt.connect();
        let reply = texts(&wire.command(&["AUTH", "one", identities.password("one")]));
        reply.starts_with("-WRONGPASS")
    });
    assert!(served, "sessions of the identity are still accepted");
}
