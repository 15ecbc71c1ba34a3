//! Grants open one command for one identity, at the door and at Redis, and close it again.

use std::process::{Command, Output};

use support::servers::on_each;
use support::{Deadline, Wire, program};

use crate::{Identities, SERVERS, texts};

const ALL: &str = "[\"~*\", \"&*\", \"+@all\"]";
const FLUSH: &str = "return redis.call('FLUSHALL')";

fn run(identities: &Identities, words: &[&str]) -> Output {
    let admin = identities.redoubt.admin().to_string();
    let mut command = Command::new(program());
    command.args(words).args(["--admin", &admin]).env_remove("REDOUBT_CONFIG");
    command.output().unwrap()
}

fn succeeds(identities: &Identities, words: &[&str]) -> serde_json::Value {
    let output = run(identities, &[words, &["--json"]].concat());
    let shown = format!("{}{}", texts(&output.stdout), texts(&output.stderr));
    assert!(output.status.success(), "{words:?}: {shown}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn grant(identities: &Identities, identity: &str, command: &str, time: &str) -> u64 {
    let words = ["grant", identity, command, "--for", time, "--reason", "a cache must be emptied"];
    succeeds(identities, &words)["given"].as_u64().unwrap()
}

fn is_unknown(wire: &mut Wire, command: &[&str]) -> bool {
    texts(&wire.command(command)).starts_with("-ERR unknown command")
}

#[test]
fn a_grant_opens_a_blocked_command_for_one_identity_until_it_is_revoked() {
    on_each(&SERVERS, |server| {
        let worker = ("worker", &[("acl", "[\"~w:*\", \"+get\", \"+eval\"]")][..]);
        let identities = Identities::start(server, &[worker, ("other", &[("acl", ALL)])]);
        let (mut worker, mut other) = (identities.session("worker"), identities.session("other"));
        let mut client = identities.redoubt.session();
        for wire in [&mut worker, &mut other, &mut client] {
            assert!(is_unknown(wire, &["FLUSHALL"]));
            assert!(texts(&wire.command(&["EVAL", FLUSH, "0"])).starts_with('-'));
        }
        let number = grant(&identities, "worker", "flushall", "1h");
        assert_eq!(worker.command(&["FLUSHALL"]), b"+OK\r\n");
        assert_eq!(worker.command(&["EVAL", FLUSH, "0"]), b"+OK\r\n");
        assert!(is_unknown(&mut worker, &["FLUSHDB"]));
        assert!(texts(&worker.command(&["SET", "w:1", "x"])).starts_with("-NOPERM"));
        for wire in [&mut other, &mut client] {
            assert!(is_unknown(wire, &["FLUSHALL"]));
            assert!(texts(&wire.command(&["EVAL", FLUSH, "0"])).starts_with('-'));
        }
        // A reload does not end it.
        assert!(identities.redoubt.reload().contains("configuration reloaded"));
        assert_eq!(worker.command(&["FLUSHALL"]), b"+OK\r\n");
        let listed = succeeds(&identities, &["grants"]);
        assert_eq!(listed["grants"][0]["command"], "flushall");
        assert_eq!(listed["grants"][0]["identity"], "worker");
        let by = listed["grants"][0]["by"].as_str().unwrap_or_default().to_owned();
        assert!(by.chars().any(|c| c.is_ascii_digit()), "the user is {by}");
        let left = succeeds(&identities, &["revoke", &number.to_string()]);
        assert_eq!(left["grants"].as_array().map(Vec::len), Some(0));
        assert!(is_unknown(&mut worker, &["FLUSHALL"]));
        assert!(texts(&worker.command(&["EVAL", FLUSH, "0"])).starts_with('-'));
    });
}

#[test]
fn a_grant_opens_what_the_rights_of_an_identity_lack() {
    let worker = ("worker", &[("acl", "[\"~w:*\", \"+get\"]")][..]);
    let identities = Identities::start(SERVERS[0], &[worker]);
    let mut session = identities.session("worker");
    assert!(texts(&session.command(&["SET", "w:1", "x"])).starts_with("-NOPERM"));
    grant(&identities, "worker", "SET", "1h");
    assert_eq!(session.command(&["SET", "w:1", "x"]), b"+OK\r\n");
    assert!(texts(&session.command(&["SET", "other", "x"])).starts_with("-NOPERM"), "keys stay");
}

#[test]
fn a_grant_of_a_subcommand_opens_no_other() {
    let identities = Identities::start(SERVERS[0], &[("worker", &[("acl", ALL)])]);
    let mut session = identities.session("worker");
    grant(&identities, "worker", "CONFIG|GET", "1h");
    let shown = texts(&session.command(&["CONFIG", "GET", "maxmemory"]));
    assert!(shown.starts_with("*2\r\n"), "{shown}");
    for command in [&["CONFIG", "SET", "maxmemory", "0"][..], &["CONFIG", "RESETSTAT"], &["CONFIG"]]
    {
        assert!(is_unknown(&mut session, command), "{command:?}");
    }
    // The identity of [client] has grants of its own.
    let mut client = identities.redoubt.session();
    assert!(is_unknown(&mut client, &["CONFIG", "GET", "maxmemory"]));
    grant(&identities, "default", "CONFIG|GET", "1h");
    assert!(texts(&client.command(&["CONFIG", "GET", "maxmemory"])).starts_with("*2\r\n"));
}

#[test]
fn a_grant_ends_by_itself() {
    let identities = Identities::start(SERVERS[0], &[("worker", &[("acl", ALL)])]);
    let mut session = identities.session("worker");
    grant(&identities, "worker", "FLUSHALL", "1s");
    assert_eq!(session.command(&["FLUSHALL"]), b"+OK\r\n");
    let ended = |line: &str| {
        line.contains("\"message\":\"grant ended\"") && line.contains("\"why\":\"over\"")
    };
    assert!(identities.redoubt.log().wait(ended).is_some());
    assert!(is_unknown(&mut session, &["FLUSHALL"]));
    assert!(texts(&session.command(&["EVAL", FLUSH, "0"])).starts_with('-'));
}

#[test]
fn a_grant_that_ends_while_redis_is_away_is_closed_when_it_is_back() {
    let mut identities = Identities::start(SERVERS[0], &[("worker", &[("acl", ALL)])]);
    let number = grant(&identities, "worker", "FLUSHALL", "1h");
    identities.redis.kill();
    succeeds(&identities, &["revoke", &number.to_string()]);
    identities.redis.restart();
    identities.redoubt.wait_until_it_serves();
    let served = Deadline::standard().poll(|| {
        let mut wire = identities.redoubt.connect();
        wire.offer(&support::frame::request(&["AUTH", "worker", identities.password("worker")]));
        wire.offer(&support::frame::request(&["SET", "k", "v"]));
        wire.offer(&support::frame::request(&["QUIT"]));
        wire.read_to_close() == b"+OK\r\n+OK\r\n+OK\r\n"
    });
    assert!(served);
    let mut session = identities.session("worker");
    assert!(is_unknown(&mut session, &["FLUSHALL"]));
    assert!(texts(&session.command(&["EVAL", FLUSH, "0"])).starts_with('-'));
    assert_eq!(session.command(&["GET", "k"]), b"$1\r\nv\r\n");
}

#[test]
fn what_cannot_be_granted_changes_nothing() {
    let identities = Identities::start(SERVERS[0], &[("worker", &[("acl", ALL)])]);
    let mut transaction = identities.session("worker");
    assert_eq!(transaction.command(&["MULTI"]), b"+OK\r\n");
    let reason = ["--for", "1h", "--reason", "x"];
    for (words, expected) in [
        (&["grant", "nobody", "FLUSHALL"][..], "there is no identity of this name"),
        (&["grant", "worker", "nonsense"], "Unknown command or category name in ACL"),
        (&["grant", "worker", "+get"], "has a character that no command"),
        (&["grant", "default", "nonsense"], "Unknown command or category name in ACL"),
    ] {
        let output = run(&identities, &[words, &reason].concat());
        let error = texts(&output.stderr).to_lowercase();
        assert!(error.contains(&expected.to_lowercase()), "{words:?}: {error}");
        assert!(!output.status.success());
    }
    let output = run(&identities, &["revoke", "7"]);
    assert!(texts(&output.stderr).contains("there is no grant 7"), "{}", texts(&output.stderr));
    let mut session = identities.session("worker");
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(session.command(&["EVAL", "return 1", "0"]), b":1\r\n");
    assert!(texts(&identities.redoubt.session().command(&["EVAL", FLUSH, "0"])).starts_with('-'));
    let listed = succeeds(&identities, &["grants"]);
    assert_eq!(listed["grants"].as_array().map(Vec::len), Some(0));
    // No connection to Redis was closed, nor is when the next grant changes the guards.
    grant(&identities, "worker", "FLUSHDB", "1h");
    assert_eq!(transaction.command(&["PING"]), b"+QUEUED\r\n");
    assert_eq!(transaction.command(&["EXEC"]), b"*1\r\n+PONG\r\n");
}
