//! `redoubt explain`: its exit codes, and that a live Redoubt answers what it foretells.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

mod support;

use std::process::Command;

use serde_json::Value;
use support::{Redis, Redoubt, target_is_redis};

/// Runs it with nothing in the environment, so with the defaults.
fn explain(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    let output = command.arg("explain").args(args).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = explain(&[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}{err}")))
}

const REFUSED: [(&str, &str, &str); 22] = [
    ("FLUSHALL", "flushall", "policy.blocked"),
    ("flushdb async", "flushdb", "policy.blocked"),
    ("CONFIG GET maxmemory", "config", "policy.blocked"),
    ("CONFIG NONSENSE", "config", "policy.blocked"),
    ("DEBUG SLEEP 0", "debug", "policy.blocked"),
    ("ACL WHOAMI", "acl", "policy.escapes"),
    ("MODULE LIST", "module", "policy.escapes"),
    ("REPLICAOF x", "replicaof", "policy.escapes"),
    ("SLAVEOF x", "slaveof", "policy.escapes"),
    ("SHUTDOWN NONSENSE", "shutdown", "policy.escapes"),
    ("SAVE x", "save", "policy.escapes"),
    ("SWAPDB a b", "swapdb", "policy.escapes"),
    ("MONITOR", "monitor", "policy.escapes"),
    ("SYNC", "sync", "policy.escapes"),
    ("PSYNC ? -1", "psync", "policy.escapes"),
    ("CLIENT KILL", "client|kill", "policy.escapes"),
    ("client pause 1", "client|pause", "policy.escapes"),
    ("CLUSTER RESET NONSENSE", "cluster|reset", "policy.escapes"),
    ("SCRIPT FLUSH NONSENSE", "script|flush", "policy.escapes"),
    ("FUNCTION DELETE x", "function|delete", "policy.escapes"),
    ("PFSELFTEST x", "pfselftest", "policy.escapes"),
    ("\"FLUSH\\x41LL\" 'with space'", "flushall", "policy.blocked"),
];

const ALLOWED: [(&str, &str); 16] = [
    ("GET key", "share"),
    ("SET 'a key' \"v\\n\"", "share"),
    ("PING", "share"),
    ("INFO", "share"),
    ("CLIENT LIST", "share"),
    ("EVAL \"return 1\" 0", "scripts"),
    ("MULTI", "EXEC"),
    ("WATCH key", "UNWATCH"),
    ("BLPOP key 1", "until its reply"),
    ("XREAD COUNT 1 STREAMS s 0", "share"),
    ("XREAD BLOCK 1 STREAMS s 0", "until its reply"),
    ("SUBSCRIBE channel", "subscribed"),
    ("CLIENT ID", "RESET"),
    ("SELECT 1", "answered by Redoubt"),
    ("QUIT", "closed"),
    ("MODULE.COMMAND x", "RESET"),
];

#[test]
fn what_it_refuses_is_refused_so_by_a_live_redoubt() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    for (line, rule, source) in REFUSED {
        let (code, told) = json(&[line]);
        assert_eq!(code, Some(1), "{line}: {told}");
        assert_eq!(told["allowed"], false, "{line}");
        assert_eq!(told["rule"], rule, "{line}");
        assert_eq!(told["source"], source, "{line}");
        wire.send(format!("{line}\r\n").as_bytes());
        let reply = told["reply"].as_str().unwrap();
        let answer = wire.frame();
        assert_eq!(answer.escape_ascii().to_string(), reply, "{line}");
    }
}

#[test]
fn what_may_run_ends_with_0_and_tells_its_link() {
    for (line, link) in ALLOWED {
        let (code, told) = json(&[line]);
        assert_eq!(code, Some(0), "{line}: {told}");
        let connection = told["connection"].as_str().unwrap();
        assert!(connection.contains(link), "{line}: {connection}");
    }
    assert_eq!(json(&["MSET", "a", "1", "b", "2"]).1["keys"], "1, 3");
    let scripts = &json(&["EVAL", "return 1", "0"]).1["in_scripts"];
    assert!(scripts.as_str().unwrap().contains("ACL"), "{scripts}");
}

#[test]
fn a_stranger_is_told_noauth_and_what_does_not_exist() {
    let (code, told) = json(&["--unauthenticated", "GET key"]);
    assert_eq!(code, Some(1));
    assert_eq!(told["reply"], "-NOAUTH Authentication required.\\r\\n");
    let (_, told) = json(&["--unauthenticated", "FLUSHALL"]);
    assert_eq!(told["rule"], "flushall");
    assert_eq!(json(&["--unauthenticated", "RESET"]).0, Some(0));
}

#[test]
fn the_configuration_decides() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    let password = support::secret();
    let text = format!(
        "[client]\npassword = \"{password}\"\n[upstream]\nurl = \"redis://127.0.0.1:6379\"\n\
         [policy]\nblocked = [\"GET\"]\nescapes = \"allow\"\nscripts = \"deny\"\nguard = \"off\"\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = ["--config", path.to_str().unwrap()];
    let run = |line| json(&[&config[..], &[line]].concat());
    assert_eq!(run("GET key").1["rule"], "get");
    assert_eq!(run("FLUSHALL").0, Some(0));
    assert_eq!(run("SHUTDOWN").0, Some(0));
    assert_eq!(run("EVAL x 0").1["source"], "policy.scripts");
    let (_, out, err) = explain(&[&config[..], &["AUTH wrong"]].concat());
    assert!(!out.contains(&password) && !err.contains(&password));
    assert!(out.contains("WRONGPASS"), "{out}");
}

#[test]
fn the_text_is_readable() {
    let (code, out, _) = explain(&["SHUTDOWN"]);
    assert_eq!(code, Some(1));
    let expected = "\
✗ refused  SHUTDOWN
  rule        shutdown (policy.escapes)
  why         policy.escapes = \"deny\": it stops the server, or has it write all it holds to its disk
  reply       -ERR unknown command 'SHUTDOWN', with args beginning with: \\r\\n
  connection  answered by Redoubt; nothing goes to Redis
";
    assert_eq!(out.replace("\\'", "'"), expected);
}

#[test]
fn wrong_use_ends_with_2() {
    for args in [&[][..], &["GET \"key"], &[" "], &["--config", "/nowhere/redoubt.toml", "GET"]] {
        let (code, out, _) = explain(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
    }
}
