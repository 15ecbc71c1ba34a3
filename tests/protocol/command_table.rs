//! The command table, compared with a real redis-server's description of its commands.

use std::collections::{BTreeMap, BTreeSet};

use redis::{FromRedisValue, Value};
use redoubt_core::command::{self, Effect, Flag, Spec, Version};
use support::unix_redis::Server;

/// The description of one command in COMMAND and COMMAND DOCS.
#[derive(Debug, PartialEq)]
struct Entry {
    arity: i16,
    flags: BTreeSet<String>,
    keys: [i16; 3],
    since: Option<Version>,
}

fn words<T: FromRedisValue>(value: &Value) -> T {
    T::from_redis_value(value.clone()).expect("the documented form")
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("not a list: {other:?}"),
    }
}

/// Returns all commands and subcommands of a real server, with its version.
fn live() -> (Version, BTreeMap<String, Entry>) {
    let server = Server::start(&[]);
    let url = format!("redis+unix://{}", server.socket().display());
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let info: String = redis::cmd("INFO").arg("server").query(&mut connection).unwrap();
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap();
    let commands: Value = redis::cmd("COMMAND").query(&mut connection).unwrap();
    let docs: Value = redis::cmd("COMMAND").arg("DOCS").query(&mut connection).unwrap();
    let mut since = BTreeMap::new();
    collect_since(&docs, &mut since);
    let mut entries = BTreeMap::new();
    for command in list(&commands) {
        collect_entries(command, &since, &mut entries);
    }
    (Version::parse(version).unwrap(), entries)
}

fn collect_since(docs: &Value, since: &mut BTreeMap<String, Version>) {
    for pair in list(docs).chunks(2) {
        for field in list(&pair[1]).chunks(2) {
            match words::<String>(&field[0]).as_str() {
                "since" => {
                    let version = Version::parse(&words::<String>(&field[1])).unwrap();
                    since.insert(words(&pair[0]), version);
                }
                "subcommands" => collect_since(&field[1], since),
                _ => {}
            }
        }
    }
}

fn collect_entries(
    command: &Value,
    since: &BTreeMap<String, Version>,
    entries: &mut BTreeMap<String, Entry>,
) {
    let fields = list(command);
    let name: String = words(&fields[0]);
    let entry = Entry {
        arity: words(&fields[1]),
        flags: list(&fields[2]).iter().map(words::<String>).collect(),
        keys: [words(&fields[3]), words(&fields[4]), words(&fields[5])],
        since: since.get(&name).copied(),
    };
    entries.insert(name, entry);
    for subcommand in list(&fields[9]) {
        collect_entries(subcommand, since, entries);
    }
}

/// Redis's names for the flags.
const FLAGS: [(Flag, &str); 20] = [
    (Flag::Admin, "admin"),
    (Flag::AllowBusy, "allow_busy"),
    (Flag::Asking, "asking"),
    (Flag::Blocking, "blocking"),
    (Flag::Denyoom, "denyoom"),
    (Flag::Fast, "fast"),
    (Flag::Loading, "loading"),
    (Flag::MayReplicate, "may_replicate"),
    (Flag::Movablekeys, "movablekeys"),
    (Flag::NoAsyncLoading, "no_async_loading"),
    (Flag::NoAuth, "no_auth"),
    (Flag::NoMandatoryKeys, "no_mandatory_keys"),
    (Flag::NoMulti, "no_multi"),
    (Flag::Noscript, "noscript"),
    (Flag::Pubsub, "pubsub"),
    (Flag::Readonly, "readonly"),
    (Flag::SkipMonitor, "skip_monitor"),
    (Flag::SkipSlowlog, "skip_slowlog"),
    (Flag::Stale, "stale"),
    (Flag::Write, "write"),
];

fn flag_words(spec: &Spec) -> BTreeSet<String> {
    let having = FLAGS.iter().filter(|(flag, _)| spec.flags.contains(*flag));
    having.map(|(_, word)| (*word).to_owned()).collect()
}

fn entry(spec: &Spec) -> Entry {
    Entry {
        arity: spec.arity,
        flags: flag_words(spec),
        keys: [spec.keys.first, spec.keys.last, spec.keys.step],
        since: Some(spec.since),
    }
}

fn find(name: &str) -> Option<&'static Spec> {
    match name.split_once('|') {
        None => command::lookup(name.as_bytes()),
        Some((container, word)) => {
            command::lookup(container.as_bytes())?.subcommand(word.as_bytes())
        }
    }
}

#[test]
fn the_command_table_agrees_with_a_live_server() {
    let (version, live) = live();
    assert!(version >= Version::new(7, 0, 0), "Redis 7.0 or later is needed, this is {version}");
    if version < Version::new(7, 2, 0) {
        for (name, live) in &live {
            let spec = find(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(spec.name, name);
            assert_eq!(&entry(spec), live, "{name}");
            assert_eq!(spec.keys.movable, live.flags.contains("movablekeys"), "{name}");
        }
        for spec in command::specs().filter(|spec| spec.since <= version) {
            assert!(live.contains_key(spec.name), "{} is not in {version}", spec.name);
        }
    } else {
        // The generated part is 7.0's; newer servers may have other arities and flags for old commands.
        let known = Version::new(8, 0, u16::MAX);
        for (name, live) in &live {
            if live.since.is_some_and(|since| since <= known) {
                assert!(find(name).is_some(), "{name} is missing");
            }
        }
    }
}

#[test]
fn command_flags_and_effects_are_consistent() {
    let (_, live) = live();
    let mut seen = 0;
    for (name, live) in &live {
        let Some(spec) = find(name) else { continue };
        let has = |flag: &str| live.flags.contains(flag);
        let effect = spec.effect;
        let waits = matches!(effect, Effect::Blocks | Effect::BlocksOnOption | Effect::Wait);
        // Redis 7.0 does not flag WAIT as blocking, although it blocks.
        assert_eq!(waits, has("blocking") || name == "wait", "{name}");
        let logs_in = matches!(effect, Effect::Auth | Effect::Hello | Effect::Quit | Effect::Reset);
        assert_eq!(logs_in, has("no_auth"), "{name}");
        let subscribes = matches!(effect, Effect::Subscribe(_) | Effect::Unsubscribe(_));
        let publishes = matches!(spec.command(), "publish" | "spublish" | "pubsub");
        assert_eq!(
            subscribes || (publishes && name != "pubsub" && name != "pubsub|help"),
            has("pubsub"),
            "{name}"
        );
        assert_eq!(effect == Effect::Script, has("no_mandatory_keys"), "{name}");
        if has("no_multi") {
            let ends = matches!(name.as_str(), "save" | "shutdown");
            assert!(ends || effect == Effect::Streams, "{name}");
        }
        if has("write") {
            assert!(
                matches!(
                    effect,
                    Effect::None
                        | Effect::Fenced
                        | Effect::FencedOptions
                        | Effect::Blocks
                        | Effect::BlocksOnOption
                ),
                "{name}"
            );
        }
        if spec.is_container() {
            assert_eq!(effect, Effect::Fenced, "{name}: only its subcommands run");
        }
        seen += 1;
    }
    assert!(seen > 350, "only {seen} commands");
}
