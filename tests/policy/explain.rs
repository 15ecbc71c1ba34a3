//! `redoubt explain`: its exit codes, and that a live Redoubt behaves as it predicts.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::process::Command;

use serde_json::Value;
use support::{Redis, Redoubt, Wire};

/// Runs it with an empty environment, and so with the defaults.
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
    ("ACL LIST", "acl", "policy.escapes"),
    ("MODULE LOAD x", "module|load", "policy.escapes"),
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

/// The link that a command uses.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    /// The plain shared link.
    Shared,
    /// The fenced shared link.
    Fenced,
    /// The shared link for scripts.
    Scripts,
    /// A lease.
    Own,
    /// No link: Redoubt answers.
    Nowhere,
    /// A link that cannot be observed, because MONITOR does not show the command.
    NotShown,
}
use Link::{Fenced, NotShown, Nowhere, Own, Scripts, Shared};

/// A command, a word in the text about its link, that link, a command that ends its effect, and the
/// link that a GET uses after that.
#[rustfmt::skip]
const ALLOWED: [(&str, &str, Link, &str, Link); 39] = [
    ("GET key", "share", Shared, "", Shared),
    ("SET 'a key' \"v\\n\"", "share", Shared, "", Shared),
    ("\"S\\x45T\" key value", "share", Shared, "", Shared),
    ("PING", "share", Shared, "", Shared),
    ("ECHO x", "share", Shared, "", Shared),
    ("INFO server", "barriers", Fenced, "", Shared),
    ("COMMAND INFO get", "barriers", Fenced, "", Shared),
    ("CLIENT LIST", "barriers", NotShown, "", Shared),
    ("PUBLISH c m", "share", Shared, "", Shared),
    ("SORT k", "barriers", Fenced, "", Shared),
    ("FUNCTION LIST", "barriers", Fenced, "", Shared),
    ("SCRIPT LOAD 'return 1'", "barriers", Fenced, "", Shared),
    ("UNWATCH", "share", Shared, "", Shared),
    ("XREAD COUNT 1 STREAMS s 0", "barriers", Fenced, "", Shared),
    ("EVAL \"return 1\" 0", "scripts", Scripts, "", Shared),
    ("EVAL_RO \"return 1\" 0", "scripts", Scripts, "", Shared),
    ("MULTI", "EXEC", Own, "EXEC", Shared),
    ("MULTI", "EXEC", Own, "DISCARD", Shared),
    ("WATCH key", "UNWATCH", Own, "UNWATCH", Shared),
    ("BLPOP none 0.01", "until its reply", Own, "", Shared),
    ("XREAD BLOCK 1 STREAMS s 0", "until its reply", Own, "", Shared),
    ("WAIT 0 1", "until its reply", Own, "", Shared),
    ("SUBSCRIBE channel", "subscribed", Own, "UNSUBSCRIBE channel", Shared),
    ("PSUBSCRIBE p*", "subscribed", Own, "PUNSUBSCRIBE p*", Shared),
    ("ACL WHOAMI", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT ID", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT UNBLOCK 1", "barriers", NotShown, "", Shared),
    ("CLIENT INFO", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT NO-EVICT on", "RESET", NotShown, "", Own),
    ("CLIENT CACHING YES", "RESET", Own, "", Own),
    ("SELECT 1", "first time", Own, "", NotShown),
    ("HELLO 3", "protocol", NotShown, "", NotShown),
    ("SELECT 0", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT SETNAME x", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT GETNAME", "answered by Redoubt", Nowhere, "", Shared),
    ("CLIENT REPLY ON", "answered by Redoubt", Nowhere, "", Shared),
    ("RESET", "gives up", Nowhere, "", NotShown),
    ("QUIT", "closed", Nowhere, "", NotShown),
    ("GET", "share", NotShown, "", Shared),
];

/// Redis's MONITOR: the commands that run.
struct Monitor {
    wire: Wire,
    redis: Redis,
    marks: usize,
    /// The link of Redoubt's own watch.
    watch: String,
}

/// Returns the link, by its port, and the arguments in a line of MONITOR.
fn parts(line: &[u8]) -> (String, String) {
    let line = String::from_utf8(line.to_vec()).unwrap();
    let (link, args) = line.trim_end().split_once("] ").unwrap();
    (link.rsplit(':').next().unwrap().to_owned(), args.to_owned())
}

impl Monitor {
    fn new(redis: Redis) -> Self {
        let mut wire = redis.direct();
        assert_eq!(wire.command(&["MONITOR"]), b"+OK\r\n");
        let watch = loop {
            let (link, args) = parts(&wire.frame());
            if args.eq_ignore_ascii_case("\"info\" \"clients\"") {
                break link;
            }
        };
        Self { wire, redis, marks: 0, watch }
    }

    /// Returns the link, by its port, and the arguments of all commands since the last call.
    fn ran(&mut self) -> Vec<(String, String)> {
        self.marks += 1;
        let mark = format!("\"ECHO\" \"mark-{}\"", self.marks);
        self.redis.direct().command(&["ECHO", &format!("mark-{}", self.marks)]);
        let mut ran = Vec::new();
        loop {
            let (link, args) = parts(&self.wire.frame());
            if args == mark {
                return ran;
            }
            // Redoubt sends these itself, as barriers between sessions.
            let is_token = args.starts_with("\"ECHO\" ") && args.len() == "\"ECHO\" ".len() + 34;
            if link != self.watch && !is_token {
                ran.push((link, args));
            }
        }
    }

    /// Returns the link that carried all commands of this name; a link begins with a HELLO of Redoubt's
    /// own.
    fn link(&mut self, name: &str) -> Option<String> {
        let first = format!("\"{}\"", name.to_lowercase());
        let mut ran = self.ran();
        ran.retain(|(_, args)| args.to_lowercase().split(' ').next() == Some(&first));
        ran.dedup();
        assert!(ran.len() <= 1, "{name}: {ran:?}");
        ran.pop().map(|(link, _)| link)
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn commands_that_explain_allows_run_over_the_predicted_link() {
    let redis = Redis::start();
    // Only this test uses this Redoubt, so no other client's commands appear on its links. MONITOR tells links apart
    // by their addresses, which connections over a Unix socket do not have.
    let url = format!("redis://{}", redis.address());
    let redoubt = Redoubt::setup(&redis).set_text("upstream.url", &url).start();
    let mut monitor = Monitor::new(redis);
    let line = |wire: &mut Wire, line: &str| {
        wire.send(format!("{line}\r\n").as_bytes());
        wire.frame()
    };
    let mut first = redoubt.session();
    line(&mut first, "GET key");
    let shared = monitor.link("GET").unwrap();
    line(&mut first, "EVAL 'return 1' 0");
    let scripts = monitor.link("EVAL").unwrap();
    line(&mut first, "SCAN 0");
    let fenced = monitor.link("SCAN").unwrap();
    // Redis is asked once whether a database may be selected.
    line(&mut first, "SELECT 0");
    let kind = |name: &str, monitor: &mut Monitor| match monitor.link(name) {
        None => Nowhere,
        Some(link) if link == shared => Shared,
        Some(link) if link == fenced => Fenced,
        Some(link) if link == scripts => Scripts,
        Some(_) => Own,
    };
    for (command, predicted_link, link, end, then) in ALLOWED {
        let (code, reported) = json(&["--redis", "7.0.15", command]);
        assert_eq!(code, Some(0), "{command}: {reported}");
        let connection = reported["connection"].as_str().unwrap();
        assert!(connection.contains(predicted_link), "{command}: {connection}");

        let mut wire = redoubt.session();
        monitor.ran();
        let answer = line(&mut wire, command).escape_ascii().to_string();
        let name = command.split(' ').next().unwrap().replace("\"S\\x45T\"", "SET");
        let went = kind(&name, &mut monitor);
        assert!(link == NotShown || link == went, "{command} went {went:?}, not {link:?}");
        match reported["reply"].as_str() {
            Some(reply) => assert_eq!(answer, reply, "{command}"),
            None => assert!(
                link != Nowhere || ["ACL WHOAMI", "CLIENT ID", "CLIENT INFO"].contains(&command),
                "{command}: {reported}"
            ),
        }
        let refused = answer.starts_with("-ERR unknown") || answer.starts_with("-NOPERM");
        assert!(!refused, "{command}: {answer}");
        if then == NotShown {
            continue;
        }
        if !end.is_empty() {
            line(&mut wire, end);
        }
        monitor.ran();
        line(&mut wire, "GET key");
        let went = kind("GET", &mut monitor);
        assert_eq!(went, then, "GET after {command}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_live_redoubt_refuses_what_explain_refuses() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    for (line, rule, source) in REFUSED {
        let (code, reported) = json(&[line]);
        assert_eq!(code, Some(1), "{line}: {reported}");
        assert_eq!(reported["allowed"], false, "{line}");
        assert_eq!(reported["rule"], rule, "{line}");
        assert_eq!(reported["source"], source, "{line}");
        wire.send(format!("{line}\r\n").as_bytes());
        let reply = reported["reply"].as_str().unwrap();
        let answer = wire.frame();
        assert_eq!(answer.escape_ascii().to_string(), reply, "{line}");
    }
}

#[test]
fn explain_shows_keys_and_script_rules() {
    assert_eq!(json(&["MSET", "a", "1", "b", "2"]).1["keys"], "1, 3");
    let scripts = &json(&["EVAL", "return 1", "0"]).1["in_scripts"];
    assert!(scripts.as_str().unwrap().contains("ACL"), "{scripts}");
}

/// Replies of Redoubt's own depend on the version of its Redis.
#[test]
fn explain_depends_on_the_version_of_redis() {
    let setinfo = "CLIENT SETINFO LIB-NAME x";
    let (code, reported) = json(&["--redis", "7.0.15", setinfo]);
    assert_eq!(code, Some(1), "{reported}");
    assert_eq!(reported["reply"], "-ERR unknown subcommand \\'SETINFO\\'. Try CLIENT HELP.\\r\\n");
    assert_eq!(json(&[setinfo]).1["reply"], "+OK\\r\\n");
    assert_eq!(explain(&["--redis", "new", setinfo]).0, Some(2));
}

#[test]
fn explain_predicts_noauth_and_unknown_commands_before_authentication() {
    let (code, reported) = json(&["--unauthenticated", "GET key"]);
    assert_eq!(code, Some(1));
    assert_eq!(reported["reply"], "-NOAUTH Authentication required.\\r\\n");
    let (_, reported) = json(&["--unauthenticated", "FLUSHALL"]);
    assert_eq!(reported["rule"], "flushall");
    assert_eq!(json(&["--unauthenticated", "RESET"]).0, Some(0));
}

/// Requests of a client that has not authenticated.
const UNAUTHENTICATED: [&str; 24] = [
    "PING",
    "GET key",
    "GET",
    "FLUSHALL",
    "config get x",
    "CLIENT KILL ID 3",
    "CLIENT SETNAME x",
    "CLIENT NOSUCH",
    "NOSUCH a b",
    "EVAL 'return 1' 0",
    "MULTI",
    "SUBSCRIBE c",
    "SELECT 1",
    "HELLO",
    "HELLO 3",
    "HELLO 9",
    "HELLO x",
    "HELLO 3 AUTH default wrong",
    "AUTH",
    "AUTH wrong",
    "AUTH default wrong",
    "AUTH a b c",
    "RESET",
    "QUIT",
];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_predicts_a_live_redoubt_before_authentication() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    // After an answer of the server, Redoubt knows its version.
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
    for line in UNAUTHENTICATED {
        let (_, reported) = json(&["--redis", "7.0.15", "--unauthenticated", line]);
        let mut wire = redoubt.connect();
        wire.send(format!("{line}\r\n").as_bytes());
        let answer = wire.frame().escape_ascii().to_string();
        assert_eq!(reported["reply"], answer, "{line}: {reported}");
        assert_eq!(reported["allowed"], !answer.starts_with('-'), "{line}: {reported}");
    }
}

/// Keys of the configuration, and commands that they affect.
type Configured = (&'static [(&'static str, &'static str)], &'static [&'static str]);

const CONFIGURED: [Configured; 7] = [
    (&[("policy.blocked", "[]")], &["FLUSHDB NONSENSE x", "CONFIG GET maxmemory", "ACL LIST"]),
    (
        &[("policy.blocked", "[\"CONFIG|SET\", \"GET\"]")],
        &["GET k", "get", "CONFIG SET a b", "CONFIG GET maxmemory", "CONFIG", "STRLEN k"],
    ),
    (&[("policy.escapes", "\"allow\"")], &["ACL CAT x", "SWAPDB a b", "DEBUG x", "CLIENT KILL"]),
    (&[("policy.scripts", "\"deny\"")], &["EVAL 'return 1' 0", "FCALL f 0", "FCALL_RO f 0"]),
    (
        &[("policy.scripts", "\"read-only\"")],
        &["EVAL 'return 1' 0", "EVAL_RO 'return 1' 0", "FCALL f 0", "EVALSHA x 0", "SCRIPT LOAD x"],
    ),
    (
        &[
            ("policy.scripts", "\"pinned\""),
            ("policy.pinned_scripts", "[\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"]"),
        ],
        &[
            "EVAL 'return 1' 0",
            "EVAL 'return 2' 0",
            "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
            "EVALSHA 7f923f79fe76194c868d7e1d0820de36700eb649 0",
            "FCALL f 0",
            "FUNCTION LOAD x",
        ],
    ),
    (&[("upstream.sharing", "\"off\"")], &["GET k", "SELECT 1", "FLUSHALL", "CLIENT GETNAME"]),
];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_predicts_a_live_redoubt_with_the_same_configuration() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    for (keys, lines) in CONFIGURED {
        let mut setup = Redoubt::setup(&redis);
        let mut text = format!(
            "client.password = \"{}\"\nupstream.password = \"{}\"\nupstream.url = \"redis://x\"\n",
            support::secret(),
            support::secret()
        );
        for (key, value) in keys {
            setup = setup.set(key, value);
            text += &format!("{key} = {value}\n");
        }
        std::fs::write(&path, text).unwrap();
        let redoubt = setup.start();
        let mut wire = redoubt.session();
        for line in lines {
            let config = ["--redis", "7.0.15", "--config", path.to_str().unwrap()];
            let (code, reported) = json(&[&config[..], &[*line]].concat());
            wire.send(format!("{line}\r\n").as_bytes());
            let answer = wire.frame().escape_ascii().to_string();
            match reported["reply"].as_str() {
                Some(reply) => assert_eq!(answer, reply, "{keys:?} {line}: {reported}"),
                None => {
                    assert_eq!(code, Some(0), "{keys:?} {line}: {reported}");
                    assert!(
                        !answer.starts_with("-ERR unknown command"),
                        "{keys:?} {line}: {answer}"
                    );
                    assert!(!answer.starts_with("-NOPERM"), "{keys:?} {line}: {answer}");
                }
            }
        }
    }
}

#[test]
fn explain_depends_on_the_configuration() {
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
fn explain_prints_readable_text() {
    let (code, out, _) = explain(&["SHUTDOWN"]);
    assert_eq!(code, Some(1));
    let expected = "\
✗ refused  SHUTDOWN
  rule        shutdown (policy.escapes)
  why         policy.escapes = \"deny\": it stops the server, or has it write all it holds to its disk
  opened by   policy.allow
  reply       -ERR unknown command 'SHUTDOWN', with args beginning with: \\r\\n
  connection  answered by Redoubt; nothing goes to Redis
";
    assert_eq!(out, expected);
}

#[test]
fn wrong_use_of_explain_exits_with_2() {
    for args in [&[][..], &["GET \"key"], &[" "], &["--config", "/nowhere/redoubt.toml", "GET"]] {
        let (code, out, _) = explain(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_asks_the_upstream_which_commands_it_has() {
    let redis = Redis::start();
    let ask = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_redoubt"))
            .args(["explain", "--json", "--upstream", command])
            .env_clear()
            .env("REDOUBT_UPSTREAM", format!("redis://{}", redis.address()))
            .env("REDIS_PASSWORD", redis.password())
            .env("REDOUBT_PASSWORD", support::secret())
            .output()
            .unwrap();
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), value)
    };
    let (code, offline) = json(&["MODULE.COMMAND x"]);
    assert_eq!(code, Some(0), "{offline}");
    assert!(offline["why"].as_str().unwrap().contains("Redis decides whether it exists"));
    let mut wire = redis.direct();
    for line in ["MODULE.COMMAND x", "HEXPIRE h 1 FIELDS 1 f", "CLIENT NOSUCH"] {
        let (code, reported) = ask(line);
        assert_eq!(code, Some(1), "{line}: {reported}");
        wire.send(format!("{line}\r\n").as_bytes());
        let reply = wire.frame().escape_ascii().to_string();
        assert_eq!(reported["reply"], reply, "{line}");
        let why = reported["why"].as_str().unwrap();
        assert!(why.contains("the upstream has no such command"), "{line}: {why}");
    }
    assert_eq!(ask("GET key").0, Some(0));
    let closed = Command::new(env!("CARGO_BIN_EXE_redoubt"))
        .args(["explain", "--upstream", "GET key"])
        .env_clear()
        .envs([("REDOUBT_UPSTREAM", "redis://127.0.0.1:1"), ("REDIS_PASSWORD", &support::secret())])
        .env("REDOUBT_PASSWORD", support::secret())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&closed.stderr);
    assert!(!closed.status.success() && error.contains("the upstream cannot be asked"), "{error}");
}

/// Runs it with a configuration of these identities, before `redis`.
fn explain_as(redis: &Redis, tables: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    let text = format!(
        "[upstream]\nurl = \"redis://{}\"\npassword = \"{}\"\n{}",
        redis.address(),
        redis.password(),
        tables.replace("SECRET", &support::secret())
    );
    std::fs::write(&path, text).unwrap();
    explain(&[&["--config", path.to_str().unwrap()], args].concat())
}

fn json_as(redis: &Redis, tables: &str, args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = explain_as(redis, tables, &[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}{err}")))
}

const WORKER: &str = "[identities.worker]\npassword = \"SECRET\"\n\
                      acl = [\"~jobs:*\", \"&jobs\", \"+@all\", \"-@dangerous\"]\n";

/// Returns the users of a server.
fn users(redis: &Redis) -> String {
    String::from_utf8(redis.direct().command(&["ACL", "USERS"])).unwrap()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_says_what_an_identity_may_do_and_which_layer_refuses() {
    support::servers::on_each(&support::servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let before = users(&redis);
        // The arguments, what allows or refuses, and a part of the reason.
        for (args, code, layer, source, why) in [
            (
                &["GET", "jobs:1"][..],
                0,
                Value::Null,
                Value::Null,
                "identities.worker.acl allows it",
            ),
            (&["GET", "other"], 1, "acl".into(), "identities.worker.acl".into(), "'other' key"),
            (
                &["PUBLISH", "x", "y"],
                1,
                "acl".into(),
                "identities.worker.acl".into(),
                "'x' channel",
            ),
            (&["KEYS", "*"], 1, "acl".into(), "identities.worker.acl".into(), "'keys' command"),
            (&["FLUSHALL"], 1, "policy".into(), "policy.blocked".into(), "blocked commands"),
            (&["GET"], 1, Value::Null, Value::Null, "wrong number of arguments"),
            (&["RESET"], 0, Value::Null, Value::Null, ""),
        ] {
            let args = [&["--upstream", "--as", "worker"], args].concat();
            let (exit, reported) = json_as(&redis, WORKER, &args);
            assert_eq!(exit, Some(code), "{args:?}: {reported}");
            assert_eq!(reported["allowed"], code == 0, "{args:?}: {reported}");
            assert_eq!(reported["identity"], "worker");
            assert_eq!((&reported["layer"], &reported["source"]), (&layer, &source), "{reported}");
            let found = reported["why"].as_str().unwrap();
            assert!(found.contains(why) && !found.contains("redoubt-"), "{args:?}: {found}");
            assert_eq!(users(&redis), before, "{args:?}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_says_what_the_databases_of_an_identity_refuse() {
    support::servers::on_each(&support::servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let tables = "[identities.worker]\npassword = \"SECRET\"\nacl = [\"~*\", \"+@all\"]\n\
                      databases = [0, 2]\n";
        for (command, source) in [
            ("SELECT 0", Value::Null),
            ("SELECT 2", Value::Null),
            ("GET key", Value::Null),
            ("SELECT 1", "identities.worker.databases".into()),
            ("MOVE key 1", "identities.worker.databases".into()),
        ] {
            let (code, reported) =
                json_as(&redis, tables, &["--upstream", "--as", "worker", command]);
            assert_eq!(code, Some(i32::from(!source.is_null())), "{command}: {reported}");
            assert_eq!(reported["source"], source, "{command}: {reported}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_says_that_an_observed_command_is_served_and_recorded() {
    let redis = Redis::start();
    let tables = format!("{WORKER}mode = \"observe\"\n");
    let ask = |args: &[&str]| json_as(&redis, &tables, &[&["--as", "worker"], args].concat());
    let (code, reported) = ask(&["--upstream", "GET other"]);
    assert_eq!((code, &reported["layer"]), (Some(0), &Value::Null), "{reported}");
    let why = reported["why"].as_str().unwrap();
    assert!(why.contains("served and recorded") && why.contains("'other' key"), "{why}");
    assert_eq!(ask(&["GET other"]).0, Some(0));
    let (code, reported) = ask(&["FLUSHALL"]);
    assert_eq!((code, &reported["layer"]), (Some(1), &"policy".into()), "{reported}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_shows_the_rule_of_an_identity_by_which_redis_decides() {
    let redis = Redis::start();
    let (code, reported) = json_as(&redis, WORKER, &["--as", "worker", "GET other"]);
    assert_eq!((code, &reported["allowed"]), (Some(1), &Value::Null), "{reported}");
    let why = reported["why"].as_str().unwrap();
    assert!(why.contains("identities.worker.acl: ~jobs:* &jobs +@all -@dangerous"), "{why}");
    assert!(why.contains("--upstream asks Redis"), "{why}");
    let text = explain_as(&redis, WORKER, &["--as", "worker", "GET other"]).1;
    assert!(text.starts_with("? not known  GET\n  identity    worker\n"), "{text}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_names_the_identities_if_one_is_unknown() {
    let redis = Redis::start();
    let tables = format!("{WORKER}[client]\npassword = \"SECRET-2\"\n");
    let (code, out, err) = explain_as(&redis, &tables, &["--as", "wroker", "GET key"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "redoubt: no identity is called \"wroker\"; there are default, worker\n");
    let (code, reported) = json_as(&redis, &tables, &["--as", "default", "GET key"]);
    assert_eq!((code, &reported["identity"]), (Some(0), &"default".into()), "{reported}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn explain_cannot_ask_a_user_who_may_not_make_users_and_leaves_none() {
    let redis = Redis::setup().config("rename-command ACL \"\"").start();
    let (code, reported) = json_as(&redis, WORKER, &["--upstream", "--as", "worker", "GET other"]);
    assert_eq!((code, &reported["allowed"]), (Some(1), &Value::Null), "{reported}");
    let why = reported["why"].as_str().unwrap();
    assert!(why.starts_with("Redis cannot be asked what identities.worker.acl allows: "), "{why}");
}
