//! `policy.compat.flush`: `FLUSHDB` and `FLUSHALL` delete the keys that begin with a prefix, and no others.

use std::collections::BTreeSet;

use serde_json::Value;
use support::redoubt::Setup;
use support::servers::{ALL, MAIN, on_each};
use support::{Redis, Redoubt, Wire, frame};

use super::{ask, explain_with, is_refused, names_of};

pub(super) const FLUSH: &str = "policy.compat.flush";

/// Returns a setup with this prefix.
pub(super) fn setup(redis: &Redis, prefix: &str) -> Setup {
    Redoubt::setup(redis).set(FLUSH, format!("{{ prefix = {} }}", toml::Value::from(prefix)))
}

fn start(redis: &Redis, prefix: &str) -> Redoubt {
    let redoubt = setup(redis, prefix).start();
    redoubt.wait_until_it_serves();
    redoubt
}

/// Returns the keys of a database.
fn keys(wire: &mut Wire, database: &str) -> BTreeSet<Vec<u8>> {
    assert_eq!(wire.command(&["SELECT", database]), b"+OK\r\n");
    names_of(&wire.command(&["KEYS", "*"]))
}

fn set_all(wire: &mut Wire, database: &str, keys: &[&[u8]]) {
    assert_eq!(wire.command(&["SELECT", database]), b"+OK\r\n");
    for key in keys {
        assert_eq!(wire.command(&[b"SET", *key, b"1"]), b"+OK\r\n");
    }
}

fn set_of(keys: &[&[u8]]) -> BTreeSet<Vec<u8>> {
    keys.iter().map(|key| key.to_vec()).collect()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn flushdb_empties_one_database_and_flushall_every_below_the_prefix() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis, "cache:");
        let mut direct = redis.direct();
        let kept: [&[u8]; 4] = [b"cache", b"Cache:1", b"other:cache:1", b"session:1"];
        let deleted: [&[u8]; 4] = [b"cache:", b"cache:1", b"cache:\xff\r\n\0", b"cache:*"];
        for hello in ["2", "3"] {
            for database in ["0", "3", "9"] {
                set_all(&mut direct, database, &[kept, deleted].concat());
            }
            let mut wire = redoubt.session();
            wire.command(&["HELLO", hello]);
            assert_eq!(ask(&mut wire, &["SELECT", "3"]), "+OK\\r\\n");
            assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
            assert_eq!(keys(&mut direct, "3"), set_of(&kept));
            assert_eq!(keys(&mut direct, "0").len(), 8);
            assert_eq!(ask(&mut wire, &["flushall", "aSync"]), "+OK\\r\\n");
            for database in ["0", "3", "9"] {
                assert_eq!(keys(&mut direct, database), set_of(&kept), "{database}");
            }
            assert_eq!(keys(&mut direct, "1"), set_of(&[]));
            // Nothing is left to delete.
            assert_eq!(ask(&mut wire, &["FLUSHALL", "SYNC"]), "+OK\\r\\n");
            assert_eq!(ask(&mut wire, &["DBSIZE"]), ":4\\r\\n");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_prefix_is_literal_text() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let mut direct = redis.direct();
        let prefixes =
            ["*", "?", "[ab]", "a\\", "\\*", "[^a]", "a-z]", "{x}*", "é\u{1}\"", "[", "a*b?c:"];
        let all: Vec<Vec<u8>> = prefixes
            .iter()
            .flat_map(|prefix| ["", "1", "*"].map(|rest| format!("{prefix}{rest}").into_bytes()))
            .chain([&b"a"[..], b"b", b"ab", b"a-z", b"x", b"\xc3", b"axbxc:"].map(<[u8]>::to_vec))
            .collect();
        for prefix in prefixes {
            let redoubt = start(&redis, prefix);
            set_all(&mut direct, "0", &all.iter().map(|key| &key[..]).collect::<Vec<_>>());
            assert_eq!(ask(&mut redoubt.session(), &["FLUSHDB"]), "+OK\\r\\n");
            let kept = all.iter().filter(|key| !key.starts_with(prefix.as_bytes())).cloned();
            assert_eq!(keys(&mut direct, "0"), kept.collect(), "{prefix:?}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn wrong_arguments_get_the_servers_error_and_delete_nothing() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis, "cache:");
        let (mut wire, mut direct) = (redoubt.session(), redis.direct());
        direct.command(&["SET", "cache:1", "1"]);
        for words in [
            &["FLUSHDB", "NOW"][..],
            &["FLUSHDB", ""],
            &["FLUSHDB", "ASYNC", "SYNC"],
            &["flushall", "async", "async"],
            &["FLUSHALL", "ASYNC "],
            &["FLUSHALL", "1", "2", "3"],
        ] {
            assert_eq!(ask(&mut wire, words), ask(&mut direct, words), "{words:?}");
        }
        assert_eq!(ask(&mut wire, &["GET", "cache:1"]), "$1\\r\\n1\\r\\n");
        // Redis reads options as C strings.
        assert_eq!(ask(&mut wire, &["FLUSHDB", "SYNC\0x"]), "+OK\\r\\n");
        assert_eq!(ask(&mut wire, &["GET", "cache:1"]), "$-1\\r\\n");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn transactions_subscribers_scripts_and_strangers_delete_nothing() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis, "cache:");
        let mut direct = redis.direct();
        direct.command(&["SET", "cache:1", "1"]);
        for name in ["FLUSHDB", "FLUSHALL"] {
            let mut wire = redoubt.session();
            wire.command(&["MULTI"]);
            wire.command(&["SET", "key", "1"]);
            let reply = ask(&mut wire, &[name, "ASYNC"]);
            let start = format!("-ERR {name} is not possible inside MULTI");
            assert!(reply.starts_with(&start), "{reply}");
            assert!(wire.command(&["EXEC"]).starts_with(b"-EXECABORT"));

            let mut wire = redoubt.session();
            wire.command(&["SUBSCRIBE", "channel"]);
            assert!(is_refused(&mut wire, &[name]));
            let mut wire = redoubt.session();
            wire.send(&[frame::request(&["SUBSCRIBE", "c"]), frame::request(&[name])].concat());
            wire.frame();
            assert!(wire.frame().starts_with(b"-ERR unknown command"));

            for call in ["call", "pcall"] {
                let script = format!("return redis.{call}('{name}')");
                let reply = ask(&mut redoubt.session(), &["EVAL", &script, "0"]);
                assert!(reply.starts_with('-'), "{reply}");
            }
            let reply = ask(&mut redoubt.connect(), &[name]);
            assert!(reply.starts_with("-ERR unknown") || reply.starts_with("-NOAUTH"), "{reply}");
        }
        assert_eq!(keys(&mut direct, "0"), set_of(&[b"cache:1"]));
        let mut wire = redoubt.session();
        wire.command(&["HELLO", "3"]);
        wire.command(&["SUBSCRIBE", "channel"]);
        assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n", "RESP3 has no subscribed state");
        assert_eq!(keys(&mut direct, "0"), set_of(&[]));
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn neither_command_reaches_the_server_and_without_the_key_they_do_not_exist() {
    let redis = Redis::start();
    let redoubt = start(&redis, "cache:");
    let mut wire = redoubt.session();
    wire.command(&["FLUSHALL"]);
    let listed = ask(&mut wire, &["COMMAND", "INFO", "flushdb"]);
    assert_eq!(listed.replace('$', "*"), "*1\\r\\n*-1\\r\\n", "COMMAND does not list it");
    let counted = ask(&mut redis.direct(), &["INFO", "commandstats"]);
    assert!(counted.contains("cmdstat_scan") || counted.contains("cmdstat_info"), "{counted}");
    assert!(!counted.contains("flush"), "{counted}");
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    assert!(is_refused(&mut wire, &["FLUSHDB"]) && is_refused(&mut wire, &["FLUSHALL", "x"]));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn servers_events_and_invalidations_are_those_of_deleted_keys() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).config("notify-keyspace-events Kg").start();
        let redoubt = start(&redis, "cache:");
        let (mut tracking, mut listener) = (redoubt.session(), redoubt.session());
        for words in [&["HELLO", "3"][..], &["SET", "cache:1", "1"], &["CLIENT", "TRACKING", "ON"]]
        {
            tracking.command(words);
        }
        assert_eq!(ask(&mut tracking, &["GET", "cache:1"]), "$1\\r\\n1\\r\\n");
        listener.command(&["PSUBSCRIBE", "__keyspace@0__:*"]);
        assert_eq!(ask(&mut redoubt.session(), &["FLUSHDB"]), "+OK\\r\\n");
        assert!(listener.frame().ends_with(b"cache:1\r\n$3\r\ndel\r\n"));
        assert_eq!(tracking.frame(), b">2\r\n$10\r\ninvalidate\r\n*1\r\n$7\r\ncache:1\r\n");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn long_keys_are_deleted_and_a_too_long_one_gives_an_error() {
    let redis = Redis::start();
    let redoubt = start(&redis, "cache:");
    let (mut wire, mut direct) = (redoubt.session(), redis.direct());
    // Together they are longer than what Redoubt reads of one answer.
    let script =
        "for i = 1, 100 do redis.call('SET', 'cache:' .. string.rep('x', 300000) .. i, 1) end";
    direct.command(&["EVAL", script, "0"]);
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
    assert_eq!(ask(&mut direct, &["DBSIZE"]), ":0\\r\\n");
    let script = "redis.call('SET', 'cache:' .. string.rep('x', 17000000), 1)";
    direct.command(&["EVAL", script, "0"]);
    let reply = ask(&mut wire, &["FLUSHALL"]);
    assert!(reply.starts_with("-ERR a key below the prefix is too long"), "{reply}");
    assert_eq!(ask(&mut direct, &["DBSIZE"]), ":1\\r\\n");
    wire.command(&["SELECT", "1"]);
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_log_says_how_many_keys_were_deleted_and_names_none() {
    let redis = Redis::start();
    let redoubt = start(&redis, "cache:");
    let (mut wire, mut direct) = (redoubt.session(), redis.direct());
    set_all(&mut direct, "2", &[b"cache:canary", b"cache:2", b"other"]);
    set_all(&mut direct, "0", &[b"cache:3"]);
    wire.command(&["FLUSHALL"]);
    let line = redoubt.log().wait(|line| line.contains("keys deleted in place")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let fields = ["command", "databases", "keys", "succeeded"].map(|name| line[name].to_string());
    assert_eq!(fields, ["\"flushall\"", "\"0 2\"", "3", "true"]);
    assert!(!redoubt.log().all().iter().any(|line| line.contains("canary")));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_says_what_is_deleted() {
    let redis = Redis::start();
    let keys = "flush = { prefix = \"cache:\" }\n";
    for (command, place) in [("FLUSHDB", "the session's database"), ("flushall async", "all")] {
        let (code, report) = explain_with(&redis, keys, &[command]);
        assert_eq!((code, &report["reply"]), (Some(0), &Value::Null), "{report}");
        let why = report["why"].as_str().unwrap();
        assert!(why.contains("begin with \"cache:\"") && why.contains(place), "{why}");
    }
    let (code, report) = explain_with(&redis, keys, &["FLUSHDB x"]);
    assert_eq!((code, &report["reply"]), (Some(1), &"-ERR syntax error\\r\\n".into()), "{report}");
    let (code, report) = explain_with(&redis, keys, &["--unauthenticated", "FLUSHDB"]);
    assert_eq!((code, &report["rule"]), (Some(1), &"flushdb".into()), "{report}");
    let (code, report) = explain_with(&redis, "", &["FLUSHDB"]);
    assert_eq!((code, &report["rule"]), (Some(1), &"flushdb".into()), "{report}");
    assert!(report["why"].as_str().unwrap().contains("policy.compat.flush"), "{report}");
}
