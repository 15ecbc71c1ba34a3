//! The command table, compared with real servers' descriptions of their commands.

use std::collections::{BTreeMap, BTreeSet};

use redis::{FromRedisValue, Value};
use redoubt_core::command::{self, Effect, Flag, Spec, Version};
use support::{Redis, servers};

/// The description of one command in COMMAND and COMMAND DOCS.
#[derive(Debug)]
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

/// Returns all commands and subcommands of a real server, with the version of Redis that it reports.
fn live(server: &'static str) -> (Version, BTreeMap<String, Entry>) {
    let redis = Redis::setup().server(server).start();
    let url = format!("redis://:{}@{}", redis.password(), redis.address());
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
                    since.insert(words::<String>(&pair[0]).to_ascii_lowercase(), version);
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
    let name = words::<String>(&fields[0]).to_ascii_lowercase();
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
const FLAGS: [(Flag, &str); 21] = [
    (Flag::Admin, "admin"),
    (Flag::AllowBusy, "allow_busy"),
    (Flag::Asking, "asking"),
    (Flag::Blocking, "blocking"),
    (Flag::Denyoom, "denyoom"),
    (Flag::Fast, "fast"),
    (Flag::Loading, "loading"),
    (Flag::MayReplicate, "may_replicate"),
    (Flag::Module, "module"),
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

/// Flags that the table has only where all servers set them; see `scripts/commands.py`.
const AGREED: [&str; 9] = [
    "allow_busy",
    "fast",
    "loading",
    "no_auth",
    "noscript",
    "readonly",
    "skip_monitor",
    "skip_slowlog",
    "stale",
];

/// Returns what the table would have to say otherwise to be safe with this server.
fn objections(spec: &Spec, live: &Entry) -> Vec<String> {
    let mut found = Vec::new();
    for argc in 0..20 {
        let least = usize::from(live.arity.unsigned_abs());
        let accepted = if live.arity < 0 { argc >= least } else { argc == least };
        if accepted && !spec.arity_holds(argc) {
            found.push(format!(
                "{argc} arguments are accepted: {} is not {}",
                spec.arity, live.arity
            ));
            break;
        }
    }
    let table = flag_words(spec);
    for flag in &live.flags {
        let flag = if flag == "skip_commandlog" { "skip_slowlog" } else { flag };
        if !AGREED.contains(&flag) && !table.contains(flag) {
            found.push(format!("the server flags it {flag}"));
        }
    }
    for flag in &table {
        let is_set = live.flags.contains(flag)
            || flag == "skip_slowlog" && live.flags.contains("skip_commandlog");
        if AGREED.contains(&flag.as_str()) && !is_set {
            found.push(format!("the server does not flag it {flag}"));
        }
    }
    let keys = [spec.keys.first, spec.keys.last, spec.keys.step];
    if keys != live.keys || spec.keys.movable != table.contains("movablekeys") {
        found.push(format!("keys: {keys:?} is not {:?}", live.keys));
    }
    found
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
fn the_command_table_is_safe_for_every_server() {
    servers::on_each(&servers::WITH_MODULES, |server| {
        let (version, live) = live(server);
        for (name, live) in &live {
            let spec = find(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(spec.name, name);
            assert_eq!(objections(spec, live), Vec::<String>::new(), "{name}");
            // The version that brought a command counts only where it is a version of Redis.
            if let Some(since) = live.since.filter(|_| !server.starts_with("valkey")) {
                assert!(spec.since.is_some_and(|own| own <= since), "{name}");
            }
        }
        if !server.starts_with("redis-") {
            return;
        }
        for spec in command::specs().filter(|spec| spec.is_in(version)) {
            assert!(live.contains_key(spec.name), "{} is not in {version}", spec.name);
        }
    });
}

#[test]
fn command_flags_and_effects_are_consistent() {
    let (_, live) = live(servers::REDIS_7_0);
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
