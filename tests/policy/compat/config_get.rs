//! `policy.compat.config_get`: `CONFIG GET` of reviewed parameters.

use redoubt_core::session::Parameters;
use support::rng::Rng;
use support::servers::{ALL, MAIN, on_each};
use support::{Deadline, Redis, frame, shown};

use super::{ask, start};

/// Splits a reply to `CONFIG GET` into its first line and its pairs, sorted.
fn pairs(reply: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let (head, rest) = text.split_once("\r\n").unwrap();
    let lines: Vec<_> = rest.split_terminator("\r\n").collect();
    let values: Vec<_> = lines.chunks(2).map(|pair| format!("{} {}", pair[0], pair[1])).collect();
    let mut pairs: Vec<_> =
        values.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    pairs.sort();
    (head.to_owned(), pairs)
}

/// Requests for parameters that are shown; the server's own reply holds no others.
const SHOWN: [&[&str]; 21] = [
    &["databases"],
    &["timeout"],
    &["save"],
    &["appendonly", "appendfsync"],
    &["maxmemory", "maxmemory-policy"],
    &["notify-keyspace-events"],
    &["replica-read-only", "slave-read-only"],
    &["proto-max-bulk-len"],
    &["io-threads"],
    &["MaxMemory"],
    &["TIMEOUT", "timeout", "t?meout"],
    &["t?meout", "TIMEOUT"],
    &["*-read-only"],
    &["maxmemory-p*", "data[a-c]ases", "TIME*"],
    &["hash-max-*st-entries"],
    &["maxmemory-[^cest]*"],
    &["proto-max-bulk-len*"],
    &["maxclient[s"],
    &["timeo[\\u]t"],
    &["timeou*\0x", "timeout\0x"],
    &["", "timeou\\t", "no-such-parameter", "no-such-*"],
];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn config_get_is_answered_as_by_the_server_in_both_protocols() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).config("save 60 7 300 3").start();
        let redoubt = start(&redis);
        for hello in ["2", "3"] {
            let (mut wire, mut direct) = (redoubt.session(), redis.direct());
            wire.command(&["HELLO", hello]);
            direct.command(&["HELLO", hello]);
            for words in SHOWN {
                let request = [&["CONFIG", "GET"], words].concat();
                let (answer, own) = (wire.command(&request), direct.command(&request));
                assert_eq!(pairs(&answer), pairs(&own), "HELLO {hello}, {words:?}");
            }
            // One pair has only one order, and Valkey 9 sorts the names as Redoubt does.
            let count = if server == "valkey-9.1" { SHOWN.len() } else { 3 };
            for words in &SHOWN[..count] {
                let request = [&["config", "get"], *words].concat();
                assert_eq!(ask(&mut wire, &request), ask(&mut direct, &request));
            }
            for arity in [&["CONFIG", "GET"][..], &["config", "get"]] {
                assert_eq!(ask(&mut wire, arity), ask(&mut direct, arity));
            }
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn patterns_show_only_the_reviewed_parameters() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis);
        let (mut wire, mut direct) = (redoubt.session(), redis.direct());
        let reviewed: Vec<_> =
            Parameters::names().map(|name| frame::bulk(name.as_bytes())).collect();
        let is_reviewed = |name: &String| {
            reviewed.iter().any(|bulk| shown(bulk).replace("\\r\\n", " ").trim_end() == name)
        };
        for pattern in ["*", "?*", "m*", "*e*", "*[a-z]*", "**a**"] {
            let answer = pairs(&wire.command(&["CONFIG", "GET", pattern])).1;
            let own = pairs(&direct.command(&["CONFIG", "GET", pattern])).1;
            let own: Vec<_> = own.into_iter().filter(|(name, _)| is_reviewed(name)).collect();
            assert!(!own.is_empty(), "{pattern}");
            assert_eq!(answer, own, "{pattern}");
        }
        for name in [
            "requirepass",
            "masterauth",
            "masteruser",
            "dir",
            "dbfilename",
            "bind",
            "port",
            "logfile",
            "aclfile",
            "unixsocket",
            "tls-key-file",
            "replicaof",
            "*pass*",
            "*file*",
            "dir*",
        ] {
            assert_eq!(ask(&mut wire, &["CONFIG", "GET", name]), "*0\\r\\n", "{name}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn random_patterns_match_as_in_the_server() {
    const PARTS: [&str; 22] = [
        "*", "**", "?", "[", "]", "^", "-", "\\", "[^", "[a-z]", "[Z-A]", "[\\", "a", "E", "max",
        "mem", "memory", "time", "out", "save", "-", "s",
    ];
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis);
        let (mut wire, mut direct) = (redoubt.session(), redis.direct());
        let reviewed: Vec<_> = Parameters::names().collect();
        let names = |reply: &[u8]| -> Vec<String> {
            let text = String::from_utf8(reply.to_vec()).unwrap();
            let lines = text.split("\r\n").skip(2).step_by(4).map(str::to_lowercase);
            let mut names: Vec<_> = lines.filter(|name| reviewed.contains(&&**name)).collect();
            names.sort();
            names
        };
        let mut rng = Rng::new(7);
        let mut matched = 0;
        for _ in 0..3000 {
            let inner: String = (0..1 + rng.below(6)).map(|_| *rng.pick(&PARTS)).collect();
            let pattern = if rng.one_in(2) { format!("*{inner}*") } else { inner };
            let request = ["CONFIG", "GET", &pattern];
            let (answer, own) = (names(&wire.command(&request)), names(&direct.command(&request)));
            assert_eq!(answer, own, "{pattern:?}");
            matched += usize::from(!own.is_empty());
        }
        assert!(matched > 200, "{matched}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_changed_value_is_shown_within_seconds() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    let mut wire = redoubt.session();
    redis.direct().command(&["CONFIG", "SET", "maxmemory", "123456789"]);
    let mut is_shown =
        || ask(&mut wire, &["CONFIG", "GET", "maxmemory"]).contains("$9\\r\\n123456789\\r\\n");
    assert!(Deadline::standard().poll(&mut is_shown));
}
