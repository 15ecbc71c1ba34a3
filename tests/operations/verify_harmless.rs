//! `redoubt verify` does no damage to an unprotected Redis: its data is the same afterwards, and by
//! Redis's own count no command ran that could have changed it.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use support::{Deadline, Redis, Redoubt, Wire};

/// Commands that may succeed: they identify the client, ask for a line, run nothing, reset what does not exist, or,
/// for identities, concern the connection and names that nobody uses. A Redoubt in between asks `COMMAND` by itself, at its start and then every second.
#[rustfmt::skip]
const HARMLESS: [&str; 22] = [
    "acl|whoami", "auth", "client|info", "client|list", "command", "command|count", "command|info", "command|list",
    "config|resetstat", "discard", "echo", "eval", "get", "hello", "info", "latency|reset", "multi", "ping", "psubscribe",
    "publish", "reset", "select",
];

/// Queries for everything that could have changed.
const QUESTIONS: [&[&str]; 11] = [
    &["CONFIG", "GET", "*"],
    &["ACL", "LIST"],
    &["ACL", "USERS"],
    &["FUNCTION", "LIST"],
    &["MODULE", "LIST"],
    &["ROLE"],
    &["DBSIZE"],
    &["LASTSAVE"],
    &["GET", "key"],
    &["INFO", "keyspace"],
    &["CLUSTER", "NODES"],
];

/// Returns how often each command ran without an error since the counters were reset.
fn succeeded(wire: &mut Wire) -> BTreeMap<String, u64> {
    let text = String::from_utf8(wire.command(&["INFO", "commandstats"])).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    let count = |fields: &str, name: &str| -> u64 {
        let field = fields.split(',').find_map(|field| field.strip_prefix(name)).unwrap();
        field.parse().unwrap()
    };
    lines
        .map(|(name, fields)| {
            (name.to_owned(), count(fields, "calls=") - count(fields, "failed_calls="))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Runs `redoubt verify` for `address`, which is `redis` or a proxy of it, and checks that nothing
/// changed.
fn assert_verify_changes_nothing(
    address: SocketAddr,
    password: &str,
    mut wire: Wire,
    args: &[&str],
) {
    wire.command(&["SET", "key", "value"]);
    let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    wire.command(&["FUNCTION", "LOAD", library]);
    let before = QUESTIONS.map(|question| wire.command(question));
    wire.command(&["CONFIG", "RESETSTAT"]);

    let url = format!("redis://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["verify", &url]).args(args).env_clear().env("REDOUBT_PASSWORD", password);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(" of 82 exist: ACL, "), "{text}");

    let ran = succeeded(&mut wire);
    let harmful: Vec<_> = ran.keys().filter(|name| !HARMLESS.contains(&name.as_str())).collect();
    assert!(harmful.is_empty(), "{harmful:?} in {ran:?}");
    assert!(ran.contains_key("ping") && ran.contains_key("multi"), "nothing was counted: {ran:?}");
    for (question, before) in QUESTIONS.iter().zip(before) {
        let after = wire.command(question);
        assert_eq!(before.escape_ascii().to_string(), after.escape_ascii().to_string());
        assert!(!before.starts_with(b"-") || question[0] == "CLUSTER", "{question:?}");
    }
}

#[test]
fn verify_changes_nothing_in_a_redis_with_a_password() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, redis.password()).unwrap();
    let identity = format!("default={}", file.display());
    let args = ["--identity", &identity];
    assert_verify_changes_nothing(redis.address(), redis.password(), redis.direct(), &args);
}

#[test]
fn verify_changes_nothing_in_a_redis_without_a_password() {
    let redis = Redis::setup().password("\"\"").start();
    let address = redis.address().to_string();
    // Redis is also checked as the server behind a proxy.
    assert_verify_changes_nothing(
        redis.address(),
        "",
        Wire::connect(redis.address()),
        &["--direct", &address],
    );
}

#[test]
fn verify_changes_nothing_in_a_cluster_node() {
    let redis = Redis::setup().password("\"\"").config("cluster-enabled yes").start();
    let mut wire = Wire::connect(redis.address());
    assert_eq!(wire.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), b"+OK\r\n");
    let ready = Deadline::standard().poll(|| {
        let info = wire.command(&["CLUSTER", "INFO"]);
        String::from_utf8_lossy(&info).contains("cluster_state:ok")
    });
    assert!(ready);
    let address = redis.address().to_string();
    assert_verify_changes_nothing(redis.address(), "", wire, &["--direct", &address]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_changes_nothing_behind_a_redoubt_that_refuses_nothing() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("policy.blocked", "[]");
    let redoubt = redoubt.set_text("policy.escapes", "allow").start();
    // Redoubt itself asks at its start if payloads are checked, and for the commands, before it counts them.
    let mut wire = redis.direct();
    let has_asked = || succeeded(&mut wire).contains_key("command|count");
    assert!(Deadline::standard().poll(has_asked), "Redoubt has not asked");
    assert_verify_changes_nothing(redoubt.address(), redoubt.password(), redis.direct(), &[]);
}
