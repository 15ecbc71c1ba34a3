//! `[policy.compat]`: refused commands that Redoubt answers by itself. What holds for both keys about `CONFIG` is
//! here, among it that nothing else of `CONFIG` exists because of them.
//!
//! | module | what it tests |
//! |---|---|
//! | `config_get` | `CONFIG GET`, compared with the server's own answers |
//! | `events` | `CONFIG SET notify-keyspace-events`, compared in the same way |
//! | `flush` | `FLUSHDB` and `FLUSHALL`, which delete the keys below a prefix |
//! | `flush_faults` | the same while servers are killed, stopped or refuse |
//! | `flush_order` | what is deleted of a pipeline, and that nobody else waits |

mod config_get;
mod events;
mod flush;
mod flush_faults;
mod flush_order;

use std::collections::BTreeSet;
use std::process::Command;

use redoubt_core::policy::unknown_command;
use serde_json::Value;
use support::redoubt::Setup;
use support::servers::{ALL, MAIN, on_each};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

const GET: &str = "policy.compat.config_get";
const EVENTS: &str = "policy.compat.notify_keyspace_events";
const UNKNOWN: &str = "-ERR unknown command ";

fn setup(redis: &Redis) -> Setup {
    Redoubt::setup(redis).set(GET, true).set(EVENTS, true)
}

/// Starts Redoubt with both keys, and waits until it has read the parameters.
fn start(redis: &Redis) -> Redoubt {
    let redoubt = setup(redis).start();
    wait_until_answered(&redoubt);
    redoubt
}

#[track_caller]
fn wait_until_answered(redoubt: &Redoubt) {
    let mut wire = redoubt.session();
    let is_answered = || wire.command(&["CONFIG", "GET", "timeout"]).starts_with(b"*2\r\n");
    assert!(Deadline::standard().poll(is_answered), "CONFIG GET is answered");
}

fn ask(wire: &mut Wire, words: &[impl AsRef<[u8]>]) -> String {
    shown(&wire.command(words))
}

fn is_refused(wire: &mut Wire, words: &[&str]) -> bool {
    let expected = unknown_command(words.iter().map(|word| word.as_bytes()));
    wire.command(words) == expected
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn answers_are_in_the_order_of_a_pipeline() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    for (hello, map) in [("2", "*2"), ("3", "%1")] {
        let mut wire = redoubt.session();
        wire.command(&["HELLO", hello]);
        let words: [&[&str]; 9] = [
            &["SET", "key", "value"],
            &["CONFIG", "GET", "databases"],
            &["GET", "key"],
            &["CONFIG", "SET", "notify-keyspace-events", ""],
            &["BLPOP", "list", "0.01"],
            &["CONFIG", "GET", "databases"],
            &["EVAL", "return 7", "0"],
            &["CONFIG", "SET", "timeout", "0"],
            &["ECHO", "end"],
        ];
        wire.send(&words.map(frame::request).concat());
        let null = if hello == "2" { "*-1\r\n" } else { "_\r\n" };
        let value = format!("{map}\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
        let refused = unknown_command(words[7].iter().map(|word| word.as_bytes()));
        let refused = String::from_utf8(refused.to_vec()).unwrap();
        let expected = [
            "+OK\r\n",
            &value,
            "$5\r\nvalue\r\n",
            "+OK\r\n",
            null,
            &value,
            ":7\r\n",
            &refused,
            "$3\r\nend\r\n",
        ];
        wire.expect(expected.concat().as_bytes());
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn client_reply_hides_answers_as_it_hides_those_of_the_server() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    let requests: [&[&str]; 8] = [
        &["CLIENT", "REPLY", "SKIP"],
        &["CONFIG", "GET", "databases"],
        &["CONFIG", "GET", "timeout"],
        &["CLIENT", "REPLY", "OFF"],
        &["CONFIG", "GET", "databases"],
        &["CONFIG", "SET", "notify-keyspace-events", ""],
        &["CLIENT", "REPLY", "ON"],
        &["ECHO", "end"],
    ];
    let [answer, own] = [&mut redoubt.session(), &mut redis.direct()].map(|wire| {
        wire.send(&requests.map(frame::request).concat());
        [wire.frame(), wire.frame(), wire.frame()].map(|frame| shown(&frame))
    });
    assert_eq!(answer, own);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn transactions_subscribers_scripts_and_strangers_find_no_config() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis);
        let forms: [&[&str]; 2] =
            [&["CONFIG", "GET", "timeout"], &["CONFIG", "SET", "notify-keyspace-events", ""]];
        for words in forms {
            let mut wire = redoubt.session();
            wire.command(&["MULTI"]);
            wire.command(&["SET", "key", "1"]);
            assert!(is_refused(&mut wire, words));
            assert!(wire.command(&["EXEC"]).starts_with(b"-EXECABORT"));
            assert!(!is_refused(&mut wire, words), "after EXEC");

            let mut wire = redoubt.session();
            wire.command(&["SUBSCRIBE", "channel"]);
            assert!(is_refused(&mut wire, words));
            let mut wire = redoubt.session();
            // The subscription is not confirmed when the request arrives.
            wire.send(&[frame::request(&["SUBSCRIBE", "channel"]), frame::request(words)].concat());
            wire.frame();
            assert!(shown(&wire.frame()).starts_with(UNKNOWN));
            let mut wire = redoubt.session();
            wire.command(&["HELLO", "3"]);
            wire.command(&["SUBSCRIBE", "channel"]);
            assert!(!is_refused(&mut wire, words), "RESP3 has no subscribed state");

            let call = words.map_quoted();
            let mut wire = redoubt.session();
            for name in ["call", "pcall"] {
                let script = format!("return redis.{name}({call})");
                let reply = ask(&mut wire, &["EVAL", &script, "0"]);
                assert!(reply.starts_with('-'), "{reply}");
            }
            let mut stranger = redoubt.connect();
            let reply = ask(&mut stranger, words);
            assert!(reply.starts_with(UNKNOWN) || reply.starts_with("-NOAUTH"), "{reply}");
        }
    });
}

trait Quoted {
    fn map_quoted(&self) -> String;
}

impl Quoted for [&str] {
    fn map_quoted(&self) -> String {
        self.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(",")
    }
}

/// Forms of `CONFIG` and requests near them that stay refused, also with both keys.
const REFUSED: [&[&str]; 16] = [
    &["CONFIG"],
    &["CONFIG", "HELP"],
    &["CONFIG", "NONSENSE"],
    &["CONFIG", "GET\0"],
    &["CONFIG", "RESETSTAT"],
    &["CONFIG", "REWRITE"],
    &["CONFIG", "SET"],
    &["CONFIG", "SET", "timeout", "0"],
    &["CONFIG", "SET", "notify-keyspace-events"],
    &["CONFIG", "SET", "notify-keyspace-event", ""],
    &["CONFIG", "SET", "notify-keyspace-events", "", "timeout", "0"],
    &["CONFIG", "SET", "notify-keyspace-events", "", "notify-keyspace-events", ""],
    &["CONFIG", "SET", "timeout", "0", "notify-keyspace-events", ""],
    &["FLUSHALL"],
    &["FLUSHDB", "ASYNC"],
    &["DEBUG", "SLEEP", "0"],
];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_other_form_is_opened_and_nothing_reaches_the_server() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = start(&redis);
        let mut wire = redoubt.session();
        for words in REFUSED {
            assert!(is_refused(&mut wire, words), "{words:?}");
        }
        let long = "x".repeat(2000);
        assert!(is_refused(&mut wire, &["CONFIG", "GET", &long]));
        assert_eq!(ask(&mut wire, &["CONFIG", "SET", "notify-keyspace-events", ""]), "+OK\\r\\n");
        let listed = ask(&mut wire, &["COMMAND", "INFO", "config"]);
        assert_eq!(listed.replace('$', "*"), "*1\\r\\n*-1\\r\\n", "COMMAND lists no CONFIG");
        // Neither a CONFIG SET nor a rejected CONFIG has been counted.
        let counted = ask(&mut redis.direct(), &["INFO", "commandstats"]);
        assert!(counted.contains("cmdstat_config|get"), "{counted}");
        assert!(!counted.contains("cmdstat_config|set"), "{counted}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn each_key_opens_only_its_own_form() {
    let redis = Redis::start();
    let get = ["CONFIG", "GET", "timeout"];
    let set = ["CONFIG", "SET", "notify-keyspace-events", ""];
    for (keys, opened) in
        [(&[][..], [false; 2]), (&[GET], [true, false]), (&[EVENTS], [false, true])]
    {
        let setup = keys.iter().fold(Redoubt::setup(&redis), |setup, key| setup.set(key, true));
        let redoubt = setup.start();
        let mut wire = redoubt.session();
        let mut are_opened =
            || [!is_refused(&mut wire, &get), !is_refused(&mut wire, &set)] == opened;
        if keys.is_empty() {
            redoubt.wait_until_it_knows_its_server();
            assert!(are_opened());
        } else {
            assert!(Deadline::standard().poll(are_opened), "{keys:?}");
        }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn values_that_cannot_be_read_leave_config_an_unknown_command() {
    let get = ["CONFIG", "GET", "timeout"];
    let mut redis =
        Redis::setup().config("user limited on >limited-password ~* &* +@all -config").start();
    let redoubt = setup(&redis)
        .set_text("upstream.user", "limited")
        .set_text("upstream.password", "limited-password")
        .set("allow_weak_passwords", true)
        .start();
    let reported = |line: &str| line.contains("parameters of Redis cannot be read");
    assert!(redoubt.log().wait(reported).is_some());
    assert!(is_refused(&mut redoubt.session(), &get));

    let redoubt = start(&redis);
    let mut wire = redoubt.session();
    redis.kill();
    let is_unknown = || is_refused(&mut wire, &get);
    assert!(Deadline::standard().poll(is_unknown), "Redis is gone");
    redis.restart();
    wait_until_answered(&redoubt);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_log_names_parameters_once_in_a_session_and_no_values() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    let mut wire = redoubt.session();
    for words in [
        &["CONFIG", "GET", "save"][..],
        &["CONFIG", "GET", "SAVE", "timeout"],
        &["CONFIG", "GET", "canary-in-an-argument"],
        &["CONFIG", "GET", "save", "canary-*"],
        &["CONFIG", "SET", "notify-keyspace-events", ""],
        &["CONFIG", "SET", "notify-keyspace-events", "K"],
    ] {
        wire.command(words);
    }
    drop(wire);
    // The first session waited for the parameters.
    let is_of_session = |line: &str| line.contains("\"session\":2,");
    let is_closed = |line: &str| is_of_session(line) && line.contains("session closed");
    assert!(redoubt.log().wait(is_closed).is_some());
    let lines = redoubt.log().all();
    let answered: Vec<_> = lines
        .iter()
        .filter(|line| is_of_session(line) && line.contains("refused command answered"))
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("key"), text("parameters"), line["succeeded"].as_bool().unwrap())
        })
        .collect();
    let row =
        |key: &str, parameters: &str, succeeded| (key.to_owned(), parameters.to_owned(), succeeded);
    assert_eq!(
        answered,
        [
            row("config_get", "save", true),
            row("config_get", "timeout", true),
            row("config_get", "", true),
            row("notify_keyspace_events", "notify-keyspace-events", true),
            row("notify_keyspace_events", "notify-keyspace-events", false),
        ]
    );
    assert!(!lines.iter().any(|line| line.contains("canary")), "{lines:?}");
}

/// Returns the bulk strings of an array.
fn names_of(reply: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    let line_end = |bytes: &[u8]| bytes.windows(2).position(|two| two == b"\r\n").unwrap();
    let mut rest = &reply[line_end(reply) + 2..];
    while !rest.is_empty() {
        let end = line_end(rest);
        let len: usize = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
        names.insert(rest[end + 2..][..len].to_vec());
        rest = &rest[end + 2 + len + 2..];
    }
    names
}

/// Runs `redoubt explain` with both keys about `CONFIG` and returns its exit code and report.
fn explain(redis: &Redis, args: &[&str]) -> (Option<i32>, Value) {
    explain_with(redis, "config_get = true\nnotify_keyspace_events = true\n", args)
}

/// Runs `redoubt explain` with these lines in `[policy.compat]`.
fn explain_with(redis: &Redis, keys: &str, args: &[&str]) -> (Option<i32>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("redoubt.toml");
    let text = format!(
        "client.password = \"{}\"\nupstream.url = \"redis://{}\"\nupstream.password = \"{}\"\n\
         [policy.compat]\n{keys}",
        support::secret(),
        redis.address(),
        redis.password(),
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["explain", "--json", "--config", file.to_str().unwrap()]).args(args).env_clear();
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_says_which_key_answers_a_command() {
    let redis = Redis::start();
    let get = "CONFIG GET databases";
    let (code, report) = explain(&redis, &[get]);
    assert_eq!((code, &report["reply"]), (Some(0), &Value::Null), "{report}");
    assert!(report["why"].as_str().unwrap().starts_with("policy.compat.config_get = true"));
    let (code, report) = explain(&redis, &["--upstream", get]);
    let reply = "*2\\r\\n$9\\r\\ndatabases\\r\\n$2\\r\\n16\\r\\n";
    assert_eq!((code, &report["reply"]), (Some(0), &Value::from(reply)), "{report}");
    let set = "CONFIG SET notify-keyspace-events KEA";
    let (code, report) = explain(&redis, &["--upstream", set]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report["why"].as_str().unwrap().starts_with("policy.compat.notify_keyspace_events"));
    for (args, rule) in [
        (&["CONFIG RESETSTAT"][..], "config"),
        (&["CONFIG SET timeout 0"], "config"),
        (&["--upstream", "CONFIG REWRITE"], "config"),
        (&["--unauthenticated", get], "config"),
    ] {
        let (code, report) = explain(&redis, args);
        assert_eq!((code, &report["rule"]), (Some(1), &Value::from(rule)), "{report}");
    }
    let command = &mut Command::new(env!("CARGO_BIN_EXE_redoubt"));
    let output = command.args(["explain", get]).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("policy.compat.config_get = true would have it answered"), "{text}");
}
