//! The state of Redis, read over a direct connection: it must be the same after each attack.

use std::collections::BTreeMap;

use super::case::refuses_restore;
use support::{Wire, frame};

/// Commands that Redoubt refuses and that must never be executed. Redoubt itself and these tests run
/// `ACL` and `CONFIG GET`, so these two are detected by their effects.
const NEVER: [&str; 50] = [
    "flushall",
    "flushdb",
    "config|set",
    "config|rewrite",
    "debug",
    "module|load",
    "module|loadex",
    "module|unload",
    "replicaof",
    "slaveof",
    "failover",
    "sync",
    "psync",
    "replconf",
    "shutdown",
    "migrate",
    "monitor",
    "swapdb",
    "save",
    "bgsave",
    "bgrewriteaof",
    "pfdebug",
    "pfselftest",
    "restore",
    "restore-asking",
    "latency|reset",
    "slowlog|reset",
    "cluster|addslots",
    "cluster|addslotsrange",
    "cluster|bumpepoch",
    "cluster|delslots",
    "cluster|delslotsrange",
    "cluster|failover",
    "cluster|flushslots",
    "cluster|forget",
    "cluster|meet",
    "cluster|replicate",
    "cluster|reset",
    "cluster|saveconfig",
    "cluster|set-config-epoch",
    "cluster|setslot",
    "client|kill",
    "client|pause",
    "client|unpause",
    "function|flush",
    "function|restore",
    "function|delete",
    "function|kill",
    "script|flush",
    "script|kill",
];

/// The script whose digest shows if scripts were flushed.
const SCRIPT: &str = "return 'canary'";
const LIBRARY: &str = "#!lua name=canary\n\
    redis.register_function{function_name='canary', callback=function() return 1 end, \
    flags={'no-writes'}}";

/// Queries after each attack.
const QUESTIONS: [&[&str]; 12] = [
    &["SELECT", "1"],
    &["GET", "canary"],
    &["SELECT", "0"],
    &["GET", "canary"],
    &["LRANGE", "canary:list", "0", "-1"],
    &["CONFIG", "GET", "*"],
    &["ACL", "LIST"],
    &["MODULE", "LIST"],
    &["FUNCTION", "LIST", "LIBRARYNAME", "canary"],
    &["LASTSAVE"],
    &["ROLE"],
    &["INFO", "everything"],
];

/// Writes the data that is checked. The caller writes it again after a case that destroys it as
/// expected.
pub(crate) fn plant(direct: &mut Wire) {
    for command in [
        &["CONFIG", "RESETSTAT"][..],
        &["SELECT", "1"],
        &["SET", "canary", "in database 1"],
        &["SELECT", "0"],
        &["SET", "canary", "in database 0"],
        &["DEL", "canary:list"],
        &["RPUSH", "canary:list", "a", "b", "c"],
        &["SCRIPT", "LOAD", SCRIPT],
        &["FUNCTION", "LOAD", "REPLACE", LIBRARY],
    ] {
        let reply = direct.command(command);
        assert!(!reply.starts_with(b"-"), "{command:?}: {}", reply.escape_ascii());
    }
}

/// The results of the queries, by name.
pub(crate) type State = BTreeMap<String, String>;

/// Runs the queries. The result includes commands of [`NEVER`] that were executed.
pub(crate) fn observe(direct: &mut Wire) -> State {
    let said: Vec<_> = QUESTIONS.iter().flat_map(|question| frame::request(question)).collect();
    direct.send(&said);
    let mut state = State::new();
    for (number, question) in QUESTIONS.iter().enumerate() {
        let answer = String::from_utf8_lossy(&direct.frame()).into_owned();
        let name = format!("{number} {}", question.join(" "));
        match question[0] {
            "SELECT" => assert_eq!(answer, "+OK\r\n"),
            "INFO" => state.extend(counters(&answer)),
            // The reply is in the order of a hash table.
            "CONFIG" => drop(state.insert(name, sorted(&answer))),
            "ACL" => drop(state.insert(name, users(&answer))),
            "ROLE" => drop(state.insert(name, answer.lines().nth(2).unwrap_or("").to_owned())),
            _ => drop(state.insert(name, answer)),
        }
    }
    state
}

/// Returns Redis's users except the guards of Redoubt.
fn users(list: &str) -> String {
    let user = |line: &&str| line.starts_with("user ") && !line.starts_with("user redoubt-");
    list.lines().filter(user).collect::<Vec<_>>().join("\n")
}

/// Returns the names and values of a flat array, sorted by name.
fn sorted(array: &str) -> String {
    let lines: Vec<_> = array.lines().skip(1).collect();
    let mut pairs: Vec<_> = lines.chunks(4).map(|pair| pair.join(" ")).collect();
    pairs.sort();
    pairs.join("\n")
}

fn counters(info: &str) -> State {
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    let reported = fields.filter_map(|(name, value)| match name.strip_prefix("cmdstat_") {
        Some("restore") if !refuses_restore() => None,
        Some(command) if NEVER.contains(&command) => {
            let calls = value.split(',').next().filter(|calls| *calls != "calls=0")?;
            Some((executed(command), calls.to_owned()))
        }
        Some(_) => None,
        None => {
            let fixed = ["run_id", "rdb_saves", "aof_rewrites"];
            fixed.contains(&name).then(|| (name.to_owned(), value.to_owned()))
        }
    });
    reported.collect()
}

/// Returns the name under which [`observe`] reports that a command was executed.
pub(crate) fn executed(command: &str) -> String {
    format!("executed {command}")
}
